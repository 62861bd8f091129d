"""A drop-in for `jax.lax.dot_general`, made of products of matrices on a device."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_array, check_key
from optics._typing import ArrayLike, DeviceLike, GradientLike, KeyLike
from optics.convolution import check_device
from optics.gradients import gradient_rule
from optics.products import matmul


def dot_general(device: DeviceLike, key: KeyLike = None, gradient: GradientLike = None) -> Callable:
    """A function with the signature of `jax.lax.dot_general` that computes on a device.

        y[batch, i, j] = Σ_l a[batch, i, l] b[batch, l, j]

    where i are all free axes of the left array, j those of the right one, and l all contracted axes.

    `flax.nnx.Linear(..., dot_general=fn)` is an optical layer; so are `nnx.LinearGeneral` and
    `nnx.MultiHeadAttention`. `precision` has no effect on a device.

    Arguments:
        device: any device that multiplies matrices; None is `jax.lax.dot_general` itself.
        key: of the device's noise; every call of the returned function draws the same noise. None computes
            without noise.
        gradient: "simulator" (or None), "ideal" or "optical", or a wrapper such as `optics.ideal_gradient`.

    Returns:
        fn(lhs, rhs, dimension_numbers, precision, preferred_element_type, out_sharding), any unit. Dimension
        numbers that do not fit the arrays are refused in the words of `jax.lax.dot_general`.

    Raises:
        ValueError: no device, one that has no product of matrices, a bad key, or an unknown `gradient`; by
            fn: integers.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> fn = optics.dot_general(optics.CirculantMultiplier(optics.presets.load("ideal", pixels=5)))
        >>> fn(jnp.ones((2, 3, 8)), jnp.ones((8, 4)), (((2,), (0,)), ((), ()))).shape
        (2, 3, 4)
    """
    rule = gradient_rule(gradient)
    check_key("key", key)
    if device is None:
        return jax.lax.dot_general
    check_device(device)
    # Devices without products refuse here, by name.
    _ = device.product_shape

    def fn(
        lhs: ArrayLike,
        rhs: ArrayLike,
        dimension_numbers: jax.lax.DotDimensionNumbers,
        precision: jax.lax.PrecisionLike = None,
        preferred_element_type: jax.typing.DTypeLike | None = None,
        out_sharding: jax.sharding.Sharding | jax.sharding.PartitionSpec | None = None,
    ) -> Inexact[Array, "..."]:
        lhs, rhs = as_array("lhs", lhs), as_array("rhs", rhs)
        for name, a in (("lhs", lhs), ("rhs", rhs)):
            if not jnp.issubdtype(a.dtype, jnp.inexact):
                raise ValueError(
                    f"`{name}` must be floating point or complex, got {a.dtype}; light has no integers, "
                    f"use `{name}.astype(float)`."
                )
        result = jax.eval_shape(
            lambda lhs, rhs: jax.lax.dot_general(
                lhs, rhs, dimension_numbers, preferred_element_type=preferred_element_type
            ),
            lhs,
            rhs,
        )
        (lhs_inner, rhs_inner), (lhs_batch, rhs_batch) = dimension_numbers
        a = _as_matrices(lhs, lhs_batch, lhs_inner)
        b = jnp.swapaxes(_as_matrices(rhs, rhs_batch, rhs_inner), -1, -2)
        y = rule(matmul)(a, b, device=device, key=key).reshape(result.shape).astype(result.dtype)
        return y if out_sharding is None else jax.sharding.reshard(y, out_sharding)

    return fn


def _as_matrices(a: Array, batch: tuple[int, ...], inner: tuple[int, ...]) -> Array:
    """Batch axes first, then all free axes as rows and all contracted ones as columns."""
    batch, inner = (tuple(axis % a.ndim for axis in axes) for axes in (batch, inner))
    free = [axis for axis in range(a.ndim) if axis not in batch and axis not in inner]
    ordered = jnp.transpose(a, [*batch, *free, *inner])
    sizes = [math.prod(a.shape[axis] for axis in axes) for axes in (free, inner)]
    return ordered.reshape(*ordered.shape[: len(batch)], *sizes)
