"""Gradient rules: wrappers around a device computation. Unwrapped, it is differentiated through the simulator."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics.convolution import convolve, transform


def ideal_gradient(f: Callable) -> Callable:
    """Run `f` forward on the device and differentiate it as if the device were exact.

        value:      f(x, w, device, key)
        derivative: d f(x, w, None, None)

    A `custom_jvp`, so forward mode, reverse mode, `vmap`, `remat` and `shard_map` all work. The device and the key
    get no derivative.

    Arguments:
        f: a function of arrays with arguments named `device` and `key`, such as `convolve` and `transform`.

    Returns:
        function of the same signature.

    Raises:
        ValueError: `f` has no arguments `device` and `key`.
    """
    signature = inspect.signature(f)
    if not {"device", "key"} <= set(signature.parameters):
        raise ValueError(
            f"`f` must have arguments `device` and `key`, as `optics.convolve` has; {f!r} takes {signature}."
        )

    def with_flags(flags):
        @jax.custom_jvp
        def forward(arrays, device, key):
            return f(**arrays, **flags, device=device, key=key)

        @forward.defjvp
        def rule(primals, tangents):
            (arrays, device, key), (directions, _, _) = primals, tangents
            slope = jax.jvp(lambda a: f(**a, **flags, device=None, key=None), (arrays,), (directions,))[1]
            value = forward(arrays, device, key)
            return value, slope.astype(value.dtype)

        return forward

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        arrays, flags, device, key = _bound(signature, args, kwargs)
        return with_flags(flags)(arrays, device, key)

    return wrapped


def optical_gradient(f: Callable) -> Callable:
    """Run `f` forward on the device and its derivative too: both directions of a convolution are convolutions.

        convolve:   x̄ = ȳ ⊛ w(−·),   w̄ = ȳ ⊛ x(−·)
        transform:  ā = F ȳ, also for its real part alone

    where ȳ is the derivative with respect to the value, a(−·) is a with its index reversed (a correlation is the
    convolution with it) and F is the device's transform, which is its own transpose. They are JAX's derivatives, of the
    bilinear value and unconjugated; for a real loss of complex numbers the conjugate is the direction of ascent. Sums
    over leading axes that were broadcast are electronic. A plane of zeros is not exposed: its result is zero.

    A `custom_vjp`: reverse mode, `vmap`, `remat`, `jit` and `shard_map` work; forward mode (`jax.jvp`, `jax.hessian`)
    is refused by JAX. The noise of the way back is independent of the noise forward and drawn from the same key. The
    device and the key get no derivative.

    Arguments:
        f: `convolve` or `transform`, or either in a wrapper with `__wrapped__`, such as `jax.jit`. What is made of them
            takes the rule inside, as `conv_general_dilated(device, key, optical_gradient)` does.

    Returns:
        function of the same signature.

    Raises:
        ValueError: `f` is neither.

    Source: T. W. Hughes et al., Optica 5, 864 (2018); T. Zhou et al., Photonics Res. 8, 940 (2020).
    """
    kinds = {inspect.unwrap(convolve): convolve, inspect.unwrap(transform): transform}
    kind = kinds.get(inspect.unwrap(f))
    if kind is None:
        raise ValueError(
            f"`f` must be `optics.convolve` or `optics.transform`, whose transposes are optical; got {f!r}."
        )
    signature = inspect.signature(kind)

    def with_flags(flags):
        @jax.custom_vjp
        def forward(arrays, device, key):
            return f(*arrays, device=device, key=key, **flags)

        def keep(arrays, device, key):
            return forward(arrays, device, key), (arrays, device, key)

        forward.defvjp(keep, back)
        return forward

    def back(kept, slope):
        arrays, device, key = kept
        # Far from the numbers of shots and tiles, for `jax.random.split` numbers its keys as `fold_in` does.
        keys = [None if key is None else jax.random.fold_in(key, _BACKWARD + i) for i in range(2)]
        if kind is transform:
            found = [_unless_dark(f(slope, device=device, key=keys[0]), slope)]
        else:
            others = [_reversed(a) for a in arrays[::-1]]
            found = [
                _unless_dark(f(slope, a, device=device, key=k), slope, a)
                for a, k in zip(others, keys, strict=True)
            ]
        return tuple(_as_broadcast(one, a) for one, a in zip(found, arrays, strict=True)), None, None

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        arrays, flags, device, key = _bound(signature, args, kwargs)
        return with_flags(flags)(tuple(jnp.asarray(a) for a in arrays.values()), device, key)

    return wrapped


def gradient_rule(gradient: Any) -> Callable:
    """The wrapper that `gradient` names: None and "simulator" change nothing, "ideal", "optical", or itself a wrapper.

    Raises:
        ValueError: another name, or what cannot be called.
    """
    gradient = "simulator" if gradient is None else gradient
    if isinstance(gradient, str) and gradient in _RULES:
        return _RULES[gradient]
    if not callable(gradient):
        raise ValueError(
            f"`gradient` must be one of {', '.join(_RULES)}, or a wrapper such as `optics.ideal_gradient`; got {gradient!r}."
        )
    return gradient


_RULES = {"simulator": lambda f: f, "ideal": ideal_gradient, "optical": optical_gradient}
_BACKWARD = 0x40000000


def _bound(
    signature: inspect.Signature, args: tuple, kwargs: dict
) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    """The arguments of a call: arrays by name, what is no array by name, device and key."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    arrays = dict(bound.arguments)
    device, key = arrays.pop("device"), arrays.pop("key")
    plain = [
        name
        for name, value in arrays.items()
        if value is None or isinstance(value, bool | str) or callable(value)
    ]
    return arrays, {name: arrays.pop(name) for name in plain}, device, key


def _reversed(a: Inexact[Array, "*lead rows cols"]) -> Inexact[Array, "*lead rows cols"]:
    """a[−i] over the last two axes, indices modulo their lengths."""
    return jnp.roll(jnp.flip(a, (-2, -1)), 1, (-2, -1))


def _unless_dark(found: Array, *inputs: Array) -> Array:
    """Zero where an input plane is: without a signal to set the exposure by, the device's noise would be of full scale.

    A derivative can be 1e-6 of full scale, and whole planes of it zero.
    """
    for a in inputs:
        found = jnp.where(jnp.any(a != 0, axis=(-2, -1), keepdims=True), found, 0)
    return found


def _as_broadcast(slope: Array, a: Array) -> Array:
    """The derivative with respect to `a` from that with respect to `a` broadcast to the shape and kind of `slope`.

    It is the transpose of that broadcast: sums over the axes, the real part for a real `a`, and the sum over the devices of
    a mesh that `a` is shared by.
    """
    return jax.vjp(lambda a: a + 0 * slope, a)[1](slope)[0]
