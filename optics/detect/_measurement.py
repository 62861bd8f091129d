"""The one type of every measurement."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, Inexact


class AbstractMeasurement(eqx.Module):
    """A measurement: light -> frames -> field, in units of full scale.

        frames = measurement.frames(field)      (..., frames, rows, columns), a camera's effects follow
        field ≈ measurement.field(frames)       (..., rows, columns)

    A subclass sets the three class attributes and the two methods; numbers are its pytree leaves.

    Attributes:
        signed: frames have a sign (differences of photodiodes), so that effects on signed values fit them.
        single_exposure: all frames of a field are taken in one exposure.
        supports_real: a field that is known to be real is detected as such, with fewer frames.
    """

    signed: eqx.AbstractClassVar[bool]
    single_exposure: eqx.AbstractClassVar[bool]
    supports_real: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """The frames of a field, before the effects of the camera.

        Arguments:
            field: shape (..., rows, columns), in units of full scale; real where it is known to be.

        Returns:
            frames, shape (..., frames, rows, columns), in units of full scale.
        """

    @abc.abstractmethod
    def field(self, frames: Float[Array, "*lead frames rows cols"]) -> Inexact[Array, "*lead rows cols"]:
        """The field from its frames.

        Arguments:
            frames: as `frames` gives them.

        Returns:
            field, shape (..., rows, columns), in units of full scale.
        """
