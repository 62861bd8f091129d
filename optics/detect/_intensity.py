"""An intensity camera, with the phase left to a retrieval."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, Inexact

from optics._numerics import safe_sqrt
from optics._typing import FunctionLike
from optics.detect._measurement import AbstractMeasurement


class Intensity(AbstractMeasurement):
    """An intensity camera alone: one frame, and a retrieval that finds the phase.

        I = |z|²,   z = retrieve(√I)

    The field is as good as the retrieval, and has its ambiguities. A dark pixel (I = 0) passes no gradient,
    since √ has none there.

    Arguments:
        retrieve: maps amplitudes, shape (..., rows, columns), to the field there, or to a result with a
            `field`, as the functions of `optics.retrieve` return; for a field known not to be negative
            `lambda amplitude: amplitude`. The arrays of an equinox module are leaves of the device; anything
            else is a constant, and another one compiles again.

    Raises:
        ValueError: a `retrieve` that cannot be called.
    """

    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = False
    supports_real: ClassVar[bool] = False
    retrieve: Callable

    def __init__(self, retrieve: FunctionLike):
        if isinstance(retrieve, type) or not callable(retrieve):
            raise ValueError(
                "`retrieve` must map amplitudes to a field, as `lambda amplitude: amplitude` does, "
                f"got {retrieve!r}."
            )
        self.retrieve = retrieve if isinstance(retrieve, eqx.Module) else _Constant(retrieve)

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 rows cols"]:
        """One intensity frame (..., 1, rows, columns) in [0, 1]."""
        return (field.real**2 + field.imag**2)[..., None, :, :]

    def field(self, frames: Float[Array, "*lead 1 rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from the frame."""
        # Noise may have made a frame negative.
        result: Any = self.retrieve(safe_sqrt(frames[..., 0, :, :]))
        return getattr(result, "field", result)


class _Constant(eqx.Module):
    """A function, or a partial application of one, as a constant of the device."""

    function: Callable = eqx.field(static=True)

    def __call__(self, amplitude: Float[Array, "*lead rows cols"]) -> Any:
        return self.function(amplitude)
