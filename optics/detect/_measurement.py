"""The one type of every measurement."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


class AbstractMeasurement(eqx.Module):
    """A measurement: light -> frames -> field, in units of full scale.

        frames = measurement.frames(field)      (..., frames, rows, columns), a camera's effects follow
        field ≈ measurement.field(frames)       (..., rows, columns)

    A subclass sets the three class attributes and the two methods; numbers are its pytree leaves.

    Attributes:
        signed: frames have a sign (differences of photodiodes), so that effects on signed values fit them.
        single_exposure: all frames of a field are taken in one exposure; else each is an exposure of its own,
            with its own draw of the light that fluctuates.
        supports_real: a field that is known to be real is detected as such, with fewer frames.
        linear: frames are linear in the field; False unless a subclass says so.
    """

    signed: eqx.AbstractClassVar[bool]
    single_exposure: eqx.AbstractClassVar[bool]
    supports_real: eqx.AbstractClassVar[bool]
    linear: ClassVar[bool] = False

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

    def frame_count(self, shape: tuple[int, int], real: bool) -> int:
        """Frames of a field of this shape (rows, columns), of one known to be real or of a complex one."""
        field = jax.ShapeDtypeStruct(shape, jnp.result_type(float if real else complex))
        return jax.eval_shape(self.frames, field).shape[-3]

    def frames_in_turn(
        self, fields: Inexact[Array, "*lead frames rows cols"]
    ) -> Float[Array, "*lead frames rows cols"]:
        """The frames of a field that differs from frame to frame, frame i of field i.

        Arguments:
            fields: shape (..., frames, rows, columns), in units of full scale.

        Returns:
            frames, shape (..., frames, rows, columns), in units of full scale.
        """
        count = fields.shape[-3]
        return jnp.stack([self.frames(fields[..., i, :, :])[..., i, :, :] for i in range(count)], axis=-3)
