"""Gradient rules: wrappers around a device computation. Unwrapped, it is differentiated through the simulator."""

import functools
import inspect
from collections.abc import Callable

import jax


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
        raise ValueError(f"`f` must have arguments `device` and `key`, as `optics.convolve` has; {f!r} takes {signature}.")

    @jax.custom_jvp
    def forward(arrays, device, key):
        return f(**arrays, device=device, key=key)

    @forward.defjvp
    def rule(primals, tangents):
        (arrays, device, key), (directions, _, _) = primals, tangents
        slope = jax.jvp(lambda a: f(**a, device=None, key=None), (arrays,), (directions,))[1]
        value = forward(arrays, device, key)
        return value, slope.astype(value.dtype)

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arrays = dict(bound.arguments)
        return forward(arrays, arrays.pop("device"), arrays.pop("key"))

    return wrapped
