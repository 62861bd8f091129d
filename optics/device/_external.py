"""Hardware in the loop: the owner's modulator and camera forwards, a simulated twin backwards."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import check_shape
from optics.device._fourier_processor import FourierProcessor, convolved


class External(eqx.Module):
    """A Fourier engine that exists: every transform is made by the owner's hardware and differentiated through a simulated twin.

        frames = forward(drive, reach)               what the camera saw
        d frames = d twin.frames(drive, reach)       expected value, no noise

    The twin's encoder sets the drive and its measurement reads the frames; its optics and effects stand for the hardware in the
    derivative alone. A network trained so learns what the hardware does, with a gradient that is as good as the twin
    (physics-aware training). The call leaves the compiled program and comes back (`jax.pure_callback`): it works under
    `jit`, `grad` and `vmap`, and may be left out where nobody uses the result. The noise is the hardware's own; a key tells
    one shot from another, and equal calls with equal keys may be made once.

    Arguments:
        forward: function of numpy arrays `drive`, shape (..., exposures, rows, columns), amplitudes of at most 1, complex where
            the encoder's are, and `reach`, shape (..., exposures, 1, 1), the field that full scale stands for, in units of a
            modulator pixel's amplitude: gain and exposure time are to be set in proportion to 1/reach². It returns frames in
            units of full scale, shape (..., exposures, frames, rows, columns), as `twin.frames(drive, reach)` does.
        twin: `FourierProcessor`, calibrated to the hardware.

    Raises:
        ValueError: a `forward` that cannot be called, a `twin` that is none.
        jax.errors.JaxRuntimeError: when called, with the message of what `forward` raised, or of frames of another shape, of
            whole numbers, or not finite.

    Source: L. G. Wright et al., Deep physical neural networks trained with backpropagation, Nature 601, 549 (2022).
    """

    forward: Callable = eqx.field(static=True)
    twin: FourierProcessor

    def __init__(self, forward: Any, twin: Any):
        if isinstance(forward, type) or not callable(forward):
            raise ValueError(
                f"`forward` must be a function of drive and reach that returns frames, got {forward!r}."
            )
        if not isinstance(twin, FourierProcessor) or twin.multiplier is not None:
            raise ValueError(f"`twin` must be a `FourierProcessor` with one modulator, got {twin!r}.")
        self.forward, self.twin = forward, twin

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns)."""
        return self.twin.shape

    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One optical Fourier transform; arguments and result as those of `FourierProcessor.transform`, the noise that of the hardware."""
        check_shape("a", a, self)
        drive, reach, scale = self.twin.shown(a)
        # Without a key of its own a repeated measurement would be taken for one, and its result used twice.
        shot = jnp.zeros(2, jnp.uint32) if key is None else jax.random.key_data(key)
        return self.twin.read(self._frames(drive, reach, shot), reach, scale, real)

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: arguments and result as those of `FourierProcessor.convolve`."""
        check_shape("x", x, self)
        check_shape("w", w, self)
        return convolved(self.transform, x, w, key)

    def _frames(
        self, drive: Array, reach: Array, shot: Array
    ) -> Float[Array, "*lead frames shots camerarows cameracols"]:
        forward = self.forward

        def measured(drive: Any, reach: Any, shot: Any, like: Any) -> np.ndarray:
            frames = np.asarray(forward(np.asarray(drive), np.asarray(reach)))
            # `like` has the axes that a vmap added, too.
            if frames.shape != like.shape:
                raise ValueError(f"`forward` must return frames of shape {like.shape}, got {frames.shape}.")
            if not np.issubdtype(frames.dtype, np.floating):
                raise ValueError(
                    f"`forward` must return frames in units of full scale, got {frames.dtype}; divide counts by the camera's largest."
                )
            if not np.all(np.isfinite(frames)):
                raise ValueError(
                    "`forward` returned frames that are not finite; look at the camera's file or its gain."
                )
            return frames.astype(like.dtype)

        @jax.custom_jvp
        def seen(drive, reach, shot, twin):
            shape = jax.eval_shape(lambda *a: twin.frames(*a), drive, reach)
            like = jnp.zeros(shape.shape, shape.dtype)
            return jax.pure_callback(measured, shape, drive, reach, shot, like, vmap_method="broadcast_all")

        @seen.defjvp
        def rule(primals, tangents):
            drive, reach, _, twin = primals
            value = seen(*primals)
            slope = jax.jvp(
                lambda drive, twin: twin.frames(drive, reach), (drive, twin), (tangents[0], tangents[3])
            )[1]
            return value, slope

        return seen(drive, reach, shot, self.twin)
