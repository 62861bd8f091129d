"""Gradient rules: wrappers around a device computation. Without one, JAX differentiates the simulator."""

import functools
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics._check import check_function, describe
from optics._keys import fold_key
from optics._numerics import reverse_index, zero_where_dark
from optics._typing import ArrayLike, DeviceLike, FunctionLike, GradientLike, KeyLike
from optics.convolution import convolve, transform
from optics.products import matmul


def ideal_gradient(f: FunctionLike) -> Callable:
    """Run `f` forward on the device and differentiate it as if the device were exact.

        value:      f(x, w, device, key)
        derivative: d f(x, w, None, None)

    A `custom_jvp`, so forward mode, reverse mode, `vmap`, `remat` and `shard_map` all work. The device and
    the key get no derivative.

    Arguments:
        f: a function of arrays with arguments named `device` and `key`, such as `convolve` and `transform`.

    Returns:
        function of the same signature.

    Raises:
        ValueError: `f` has no arguments `device` and `key`.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> f, device = optics.ideal_gradient(optics.convolve), optics.presets.load("ideal", pixels=3)
        >>> jax.grad(lambda x: f(x, jnp.eye(3), device).sum())(jnp.ones((3, 3))).round().tolist()[0]
        [3.0, 3.0, 3.0]

    Source: L. G. Wright et al., Nature 601, 549 (2022): a physical forward pass, a digital model backward.
    """
    check_function("f", f, "`optics.convolve`")
    try:
        signature = inspect.signature(f)
    except ValueError:
        # Some functions of C have none.
        signature = inspect.Signature()
    if not {"device", "key"} <= set(signature.parameters):
        raise ValueError(
            f"`f` must have arguments `device` and `key`, as `optics.convolve` has; {f!r} takes {signature}."
        )

    def with_rule(options):
        @jax.custom_jvp
        def forward(arrays, device, key):
            return f(**arrays, **options, device=device, key=key)

        @forward.defjvp
        def rule(primals, tangents):
            (arrays, device, key), (directions, _, _) = primals, tangents
            slope = jax.jvp(lambda a: f(**a, **options, device=None, key=None), (arrays,), (directions,))[1]
            value = forward(arrays, device, key)
            return value, slope.astype(value.dtype)

        return forward

    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        arrays, options, device, key = _bind(signature, args, kwargs)
        return with_rule(options)(arrays, device, key)

    return wrapper


def optical_gradient(f: FunctionLike) -> Callable:
    """Run `f` and its derivative on the device: both directions of a convolution are convolutions, and those
    of a product of matrices are such products.

        convolve:   x̄ = ȳ ⊛ w(−·),   w̄ = ȳ ⊛ x(−·)
        transform:  ā = F ȳ, also for its real part alone
        matmul:     ā = ȳ bᵀ,   b̄ = aᵀ ȳ

    Here ȳ is the derivative with respect to the value, a(−·) is a with its index reversed (a correlation is
    the convolution with it) and F is the device's transform, which is its own transpose. These are JAX's
    derivatives, of the bilinear value and not conjugated; for a real loss of complex numbers the conjugate is
    the direction of ascent. Sums over leading axes that were broadcast are electronic. A plane of zeros is
    not exposed: its result is zero.

    A `custom_vjp`: reverse mode, `vmap`, `remat`, `jit` and `shard_map` work, and JAX refuses forward mode
    (`jax.jvp`, `jax.hessian`). The noise of the backward pass is independent of the noise forward and drawn
    from the same key. The device and the key get no derivative.

    Arguments:
        f: `convolve`, `transform` or `matmul`, or one of them in a wrapper with `__wrapped__`, such as
            `jax.jit`. Functions that call them take the rule as an argument, as `conv_general_dilated(device,
            key, optical_gradient)` does.

    Returns:
        function of the same signature.

    Raises:
        ValueError: `f` is none of them.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> f, device = optics.optical_gradient(optics.convolve), optics.presets.load("ideal", pixels=3)
        >>> jax.grad(lambda x: f(x, jnp.eye(3), device).sum())(jnp.ones((3, 3))).round().tolist()[0]
        [3.0, 3.0, 3.0]

    Source: T. W. Hughes et al., Optica 5, 864 (2018); T. Zhou et al., Photonics Res. 8, 940 (2020).
    """
    check_function("f", f, "`optics.convolve` or `optics.transform`")
    kind = {inspect.unwrap(kind): kind for kind in (convolve, transform, matmul)}.get(inspect.unwrap(f))
    if kind is None:
        raise ValueError(
            "`f` must be `optics.convolve`, `optics.transform` or `optics.matmul`, whose transposes are "
            f"optical; got {f!r}."
        )
    signature = inspect.signature(kind)

    def with_rule(options):
        @jax.custom_vjp
        def forward(arrays, device, key):
            return f(*arrays, device=device, key=key, **options)

        def forward_and_keep(arrays, device, key):
            return forward(arrays, device, key), (arrays, device, key)

        forward.defvjp(forward_and_keep, backward)
        return forward

    def backward(kept, slope):
        arrays, device, key = kept
        # Far from the numbers of draws and tiles: `jax.random.split` numbers its keys as `fold_in` does.
        keys = [fold_key(key, _BACKWARD + i) for i in range(2)]
        if kind is transform:
            slopes = [zero_where_dark(f(slope, device=device, key=keys[0]), slope)]
        elif kind is matmul:
            a, b = (jnp.swapaxes(a, -1, -2) for a in arrays)
            slopes = [f(slope, b, device=device, key=keys[0]), f(a, slope, device=device, key=keys[1])]
        else:
            # The derivative of each factor needs the other one.
            factors = [reverse_index(a) for a in arrays[::-1]]
            slopes = [
                zero_where_dark(f(slope, a, device=device, key=k), slope, a)
                for a, k in zip(factors, keys, strict=True)
            ]
        undo = _undo_lead if kind is matmul else _undo_broadcast
        return tuple(undo(s, a) for s, a in zip(slopes, arrays, strict=True)), None, None

    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        arrays, options, device, key = _bind(signature, args, kwargs)
        return with_rule(options)(tuple(jnp.asarray(a) for a in arrays.values()), device, key)

    return wrapper


def gradient_rule(gradient: GradientLike) -> Callable:
    """The wrapper that `gradient` names, or `gradient` itself if it is a wrapper.

    Arguments:
        gradient: "simulator" (or None) for no rule, "ideal", "optical", or a wrapper.

    Returns:
        function that wraps `convolve`, `transform` or `matmul`.

    Raises:
        ValueError: another name, or an object that cannot be called.
    """
    gradient = "simulator" if gradient is None else gradient
    if isinstance(gradient, str) and gradient in _RULES:
        return _RULES[gradient]
    if not callable(gradient):
        raise ValueError(
            f"`gradient` must be one of {', '.join(_RULES)}, or a wrapper such as `optics.ideal_gradient`; "
            f"got {describe(gradient)}."
        )
    return gradient


_RULES = {"simulator": lambda f: f, "ideal": ideal_gradient, "optical": optical_gradient}
# Keys of the backward pass are `fold_in(key, _BACKWARD)` and the one after it.
_BACKWARD = 0x40000000


def _bind(
    signature: inspect.Signature, args: tuple, kwargs: dict[str, object]
) -> tuple[dict[str, ArrayLike], dict[str, object], DeviceLike, KeyLike]:
    """The arguments of a call: arrays by name, static options by name, device and key."""
    call = signature.bind(*args, **kwargs)
    call.apply_defaults()
    arrays = dict(call.arguments)
    device, key = arrays.pop("device"), arrays.pop("key")
    static = [
        name
        for name, value in arrays.items()
        if value is None or isinstance(value, bool | str) or callable(value)
    ]
    return arrays, {name: arrays.pop(name) for name in static}, device, key


def _undo_broadcast(slope: Array, a: Array) -> Array:
    """The derivative with respect to `a`, from that with respect to its broadcast to the shape of `slope`.

    It is the transpose of that broadcast: sums over the axes, the real part for a real `a`, and the sum over
    the devices of a mesh that `a` is shared by.
    """
    return jax.vjp(lambda a: a + 0 * slope, a)[1](slope)[0]


def _undo_lead(slope: Array, a: Array) -> Array:
    """The derivative with respect to matrices `a`, from that with respect to their broadcast along the
    leading axes alone.
    """
    like = jnp.broadcast_to(a, (*slope.shape[:-2], *a.shape[-2:]))
    return _undo_broadcast(slope.reshape(like.shape), a)
