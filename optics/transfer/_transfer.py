"""The type of every transfer, and the sizes of its light."""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Inexact

from optics._check import as_array
from optics._typing import ArrayLike


class AbstractTransfer(eqx.Module):
    """A linear map from the light on a modulator to the field at a detector.

    A transfer is a pytree: its numbers are leaves, so `grad` and `vmap` reach them, and its sizes are static.

    Attributes:
        shape: pixels (rows, columns) of the detector.
        subpixels: pixels of light per detector pixel and axis; an axis of one pixel is not divided.
        peak: how bright one modulator pixel can make one detector pixel, dimensionless, scalar.
    """

    shape: eqx.AbstractVar[tuple[int, int]]
    subpixels: eqx.AbstractVar[int]
    peak: eqx.AbstractVar[Array]

    @abstractmethod
    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector.

        Arguments:
            light: field at the modulator, shape (..., rows · subpixels, columns · subpixels), real or
                complex.
            real: return only the real part, at half the cost where the transfer is compiled.

        Returns:
            field, shape (..., rows, columns), in the unit of `light`; real if `real`, else complex.
        """


def as_factors(name: str, value: ArrayLike, axes: str, least: DTypeLike) -> Inexact[Array, "terms rows cols"]:
    """The factors on one side of a sum of terms, as an array of at least the type `least`; `axes` names their
    shape in a refusal.
    """
    array = as_array(name, value)
    if array.ndim != 3:
        raise ValueError(f"`{name}` must have the shape ({axes}), got {array.shape}.")
    return array.astype(jnp.result_type(array, least))


def check_terms(names: tuple[str, str], first: Array, second: Array) -> None:
    """Refuse sides of a sum that have different numbers of terms."""
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have the same number of terms, got {first.shape[0]} and "
            f"{second.shape[0]}."
        )


def light_shape(shape: tuple[int, int], subpixels: int) -> tuple[int, int]:
    """Pixels of light (rows, columns) on a modulator of that shape; an axis of one pixel is not divided."""
    rows, cols = (n * subpixels if n > 1 else 1 for n in shape)
    return rows, cols
