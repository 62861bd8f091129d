"""Computations on a device, compiled: an eager call runs one program in place of some three hundred."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Inexact

from optics._typing import DeviceLike, GradientLike, KeyLike
from optics.mapping import conv_general_dilated


def call_device(
    f: Callable, *arrays: Inexact[Array, "..."], device: DeviceLike, key: KeyLike, **options: Any
) -> Inexact[Array, "..."]:
    """f(*arrays, device, key, **options), compiled when a device computes it.

    The numbers of the device are arguments of the program: other numbers do not compile it again. Inside
    another program (`jit`, `grad`, `vmap`, `shard_map`) the call is inlined.

    Arguments:
        f: such as `optics.convolve`; the same function object is compiled once for each shape.
        device, key: as in `optics.convolve`.
        options: keyword arguments without arrays.
    """
    if device is None:
        return f(*arrays, None, key, **options)
    return _call(f, arrays, device, key, options)


def conv_on_device(device: DeviceLike, key: KeyLike, gradient: GradientLike) -> Callable:
    """`optics.conv_general_dilated(device, key, gradient)`, compiled when it is called."""
    if device is None:
        return conv_general_dilated(None, key, gradient)

    def conv(
        lhs: Inexact[Array, "..."], rhs: Inexact[Array, "..."], *args: Any, **options: Any
    ) -> Inexact[Array, "..."]:
        return _call(_convolve, (lhs, rhs), device, key, {"args": args, "gradient": gradient, **options})

    return conv


@functools.partial(eqx.filter_jit, inline=True)
def _call(f, arrays, device, key, options):
    return f(*arrays, device, key, **options)


def _convolve(lhs, rhs, device, key, *, args, gradient, **options):
    return conv_general_dilated(device, key, gradient)(lhs, rhs, *args, **options)
