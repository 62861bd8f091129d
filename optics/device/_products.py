"""What all devices share that multiply matrices: checks, padding, gains."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact

from optics._check import as_leaf, check_finite_field
from optics._typing import ArrayLike
from optics.device._device import AbstractDevice
from optics.transfer import (
    AbstractBilinear,
    Bilinear,
    CrossedLenses,
    ExactProduct,
    compile_crossed,
    rank_one_gains,
)


class ProductExposure(NamedTuple):
    """One setting of a device that multiplies matrices.

    Attributes:
        drive: amplitudes of the elements of both modulators, of at most 1, shapes (..., m, k) and (..., k,
            n).
        full_scale: the field that the receiver's full scale stands for, in units of the amplitude of a
            modulator element, shape (..., 1, 1).
        scale: what the product of the drives is multiplied by to give that of the numbers, shape (..., 1, 1).
    """

    drive: tuple[Inexact[Array, "*alead m k"], Inexact[Array, "*blead k n"]]
    full_scale: Float[Array, "*lead 1 1"]
    scale: Float[Array, "*lead 1 1"]


def check_matrices(a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> None:
    """Refuse matrices whose inner sizes or leading axes do not fit together."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"`a` and `b` must agree in the inner axis, (..., m, k) and (..., k, n), got {a.shape} and "
            f"{b.shape}."
        )
    for own, other in zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False):
        if own != other and 1 not in (own, other):
            raise ValueError(
                f"`a` and `b` must broadcast in their leading axes, got {a.shape} and {b.shape}."
            )


def check_product(a: Inexact[Array, "..."], b: Inexact[Array, "..."], device: AbstractDevice) -> None:
    """Refuse matrices that do not fit together, or not on the modulators of a device."""
    check_matrices(a, b)
    largest_m, largest_k, largest_n = device.product_shape
    (m, k), n = a.shape[-2:], b.shape[-1]
    is_tall = largest_m is not None and m > largest_m
    if is_tall or k > largest_k or n > largest_n:
        rows = "any number of rows" if largest_m is None else f"{largest_m} rows"
        raise ValueError(
            f"`a` and `b` of {m}×{k} and {k}×{n} are too large for the modulators of "
            f"{type(device).__name__}, which multiply {rows} of {largest_k} numbers by "
            f"{largest_k}×{largest_n}; `optics.matmul(a, b, device)` divides them into tiles."
        )


def pad_matrix(a: Inexact[Array, "*lead rows cols"], rows: int, cols: int) -> Inexact[Array, "*lead m n"]:
    """The matrix with zeros below and on the right."""
    beside = [(0, 0)] * (a.ndim - 2)
    return jnp.pad(a, [*beside, (0, rows - a.shape[-2]), (0, cols - a.shape[-1])])


def zero_where_no_light(
    y: Inexact[Array, "*lead m n"], lit: Bool[Array, "..."]
) -> Inexact[Array, "*lead m n"]:
    """Zero, with the gradient of y, where one of the factors is dark: it is not exposed.

    Arguments:
        y: the products.
        lit: whether there is light, shape (...) or (..., m) broadcast over the others.
    """
    lit = lit[..., None, None] if lit.ndim < y.ndim - 1 else lit[..., None]
    return jnp.where(lit, y, y - jax.lax.stop_gradient(y))


def as_gains(
    before: ArrayLike, before_shape: tuple[int, ...], after: ArrayLike, after_shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Gains before and after the product as leaves; refuse those that are not finite or of another shape."""
    gains = []
    for name, gain, shape in (("input_gain", before, before_shape), ("output_gain", after, after_shape)):
        check_finite_field(name, gain)
        leaf = as_leaf(gain)
        if leaf.shape not in ((), shape):
            raise ValueError(f"`{name}` must be a scalar or have the shape {shape}, got {leaf.shape}.")
        gains.append(leaf)
    return gains[0], gains[1]


def fit_gains(lenses: AbstractBilinear) -> tuple[Float[Array, " k"], Inexact[Array, "m n"]]:
    """The gains before and after that bring the optics closest to the product of matrices."""
    return rank_one_gains(as_compiled(lenses).response())


def fit_power_gains(
    lenses: AbstractBilinear, half_open: bool
) -> tuple[Float[Array, " k"], Float[Array, "m n"]]:
    """The same for powers of one row: of elements one by one, or of all of them half open, whose light
    interferes with that of their neighbours.
    """
    compiled = as_compiled(lenses)
    if half_open:
        response = 2 * compiled.power(jnp.full(lenses.shape[1:], 0.5)).T[None]
    else:
        response = jnp.abs(compiled.response()) ** 2
    return rank_one_gains(response)


def as_compiled(lenses: AbstractBilinear) -> ExactProduct | Bilinear:
    return compile_crossed(lenses) if isinstance(lenses, CrossedLenses) else lenses
