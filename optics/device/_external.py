"""Hardware in the loop: the owner's modulator and camera forwards, a simulated twin backwards."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import check_shape, describe
from optics._typing import CountLike, DeviceLike, FunctionLike, ScalarLike
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import Exposure
from optics.device._fourier_processor import FourierProcessor, convolve_by_transforms
from optics.device._slmsuite import SlmsuiteBench


class External(AbstractDevice):
    """A Fourier engine that exists: the owner's hardware makes every transform, a simulated twin
    differentiates it.

        frames = forward(drive, full_scale)                    what the camera recorded
        d frames = d twin.expose(drive, full_scale)            without noise

    The twin's encoder sets the drive and its measurement reads the frames; its transfer and effects stand for
    the hardware in the derivative alone. A network trained so learns what the hardware does, with a gradient
    that is as good as the twin (physics-aware training). The call leaves the compiled program and comes back
    (`jax.pure_callback`): it works under `jit`, `grad` and `vmap`. JAX may leave out a call whose result
    nobody uses. The noise is the hardware's own; a key distinguishes one draw from another, and JAX may make
    equal calls with equal keys only once.

    Arguments:
        forward: function of two numpy arrays that returns frames. `drive`, shape (..., exposures, rows,
            columns), holds amplitudes of at most 1, complex where the encoder's are. `full_scale`, shape
            (..., exposures, 1, 1), is the field that full scale stands for, in units of a modulator pixel's
            amplitude: set gain and exposure time in proportion to 1/full_scale². Frames are in units of full
            scale, shape (..., exposures, frames, rows, columns), as `twin.expose` gives them.
        twin: `FourierProcessor`, calibrated to the hardware.

    Raises:
        ValueError: a `forward` that cannot be called, a `twin` that is not a `FourierProcessor`.
        jax.errors.JaxRuntimeError: when called, with the message of what `forward` raised, or of frames of
            another shape, of whole numbers, or not finite.

    Source: L. G. Wright et al., Deep physical neural networks trained with backpropagation, Nature 601, 549
        (2022).
    """

    forward: Callable = eqx.field(static=True)
    twin: FourierProcessor

    def __init__(self, forward: FunctionLike, twin: DeviceLike):
        if isinstance(forward, type) or not callable(forward):
            raise ValueError(
                "`forward` must be a function of `drive` and `full_scale` that returns frames, got "
                f"{describe(forward)}."
            )
        if not isinstance(twin, FourierProcessor):
            raise ValueError(f"`twin` must be a `FourierProcessor`, got {describe(twin)}.")
        self.forward, self.twin = forward, twin

    @classmethod
    def from_slmsuite(
        cls,
        fourier_slm: FunctionLike,
        twin: DeviceLike,
        group: CountLike = 1,
        averaging: CountLike = 1,
        window: CountLike = 1,
        settle: ScalarLike | None = None,
        shutter: ScalarLike | None = None,
    ) -> "External":
        """The bench that slmsuite drives: its panel of phases, its camera, and its Fourier calibration.

            panel phase = arg drive,   frame = mean of pictures / (2^bits − 1),   shutter / full_scale²

        For each exposure it sets the phases in the middle of the panel (0 and π in turn around them), waits,
        takes `averaging` pictures, refuses those that `optics.records.check_frames` does, and reads the
        camera pixels where the calibration says that the light of each pixel of the twin lands, to the
        nearest one.
        The twin's pixels lie λ / (drive pixels · group · pitch) apart in the sine of the angle, or where the
        detector of its `FourierLens` has them. What slmsuite corrects of its own accord (wavefront, table of
        phases) it goes on to correct; the twin should be one of the corrected panel then.

        Arguments:
            fourier_slm: slmsuite's `FourierSLM`, with a Fourier calibration.
            twin: `FourierProcessor` with an `Intensity` measurement, and an encoder of phases alone or
                numbers of amplitude 1.
            group: panel pixels a side of a pixel of the drive.
            averaging: pictures of an exposure.
            window: camera pixels a side whose mean is read for a pixel.
            settle: time to wait after the panel is set, s; by default that of slmsuite's settle calibration,
                or else that of its panel.
            shutter: opening time of the camera at a full scale of 1, s. By default one random drive is shown
                at the opening time that the camera has, and the sum of its frame is set equal to the twin's.

        Returns:
            `External`, whose `forward.settings` says what frames depend on.

        Raises:
            ValueError: another object than a `FourierSLM`, or one without a Fourier calibration; a twin of
                another measurement or of another panel, or with pixels that the panel or the camera does not
                have; counts that are not whole and times that are negative; no `shutter` where the camera's
                picture of the random drive is dark or saturated.
            jax.errors.JaxRuntimeError: when called, with the message: pictures that are dark or saturated, a
                drive with amplitudes, a shutter time that the camera does not have.

        Source: slmsuite 0.5.0, MIT licence, `slmsuite.hardware.cameraslms.FourierSLM`.
        """
        return cls(SlmsuiteBench(fourier_slm, twin, group, averaging, window, settle, shutter), twin)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns)."""
        return self.twin.shape

    def prepare(self, a: Inexact[Array, "*lead rows cols"]) -> Exposure:
        """Set the electronics for numbers, as the twin does."""
        return self.twin.prepare(a)

    def expose(
        self, exposure: Exposure, key: Array | None = None
    ) -> Float[Array, "*lead exposures frames camera_rows camera_cols"]:
        """The frames that the hardware gives of an exposure, differentiated through the twin."""
        forward = self.forward
        # Without a key of its own JAX would take a repeated measurement for one, and use its result twice.
        key_data = jnp.zeros(2, jnp.uint32) if key is None else jax.random.key_data(key)

        def measure(drive, full_scale, key_data, like):
            frames = np.asarray(forward(np.asarray(drive), np.asarray(full_scale)))
            # `like` has the axes that a vmap added, too.
            if frames.shape != like.shape:
                raise ValueError(f"`forward` must return frames of shape {like.shape}, got {frames.shape}.")
            if not np.issubdtype(frames.dtype, np.floating):
                raise ValueError(
                    f"`forward` must return frames in units of full scale, got {frames.dtype}; divide "
                    "counts by the camera's largest."
                )
            if not np.all(np.isfinite(frames)):
                raise ValueError(
                    "`forward` returned frames that are not finite; look at the camera's file or its gain."
                )
            return frames.astype(like.dtype)

        def simulate(twin, drive, full_scale):
            return twin.expose(Exposure(drive, full_scale, jnp.ones((1, 1))))

        @jax.custom_jvp
        def frames_of(drive, full_scale, key_data, twin):
            shape = jax.eval_shape(simulate, twin, drive, full_scale)
            like = jnp.zeros(shape.shape, shape.dtype)
            return jax.pure_callback(
                measure, shape, drive, full_scale, key_data, like, vmap_method="broadcast_all"
            )

        @frames_of.defjvp
        def rule(primals, tangents):
            drive, full_scale, _, twin = primals
            slope = jax.jvp(
                lambda drive, twin: simulate(twin, drive, full_scale),
                (drive, twin),
                (tangents[0], tangents[3]),
            )[1]
            return frames_of(*primals), slope

        return frames_of(exposure.drive, exposure.full_scale, key_data, self.twin)

    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One optical Fourier transform, with the noise of the hardware.

        Arguments, result and errors: those of `AbstractDevice.transform`.
        """
        check_shape("a", a, self)
        exposure = self.prepare(a)
        return self.twin.reconstruct(self.expose(exposure, key), exposure, real)

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both.

        Arguments, result and errors: those of `AbstractDevice.convolve`.
        """
        check_shape("x", x, self)
        check_shape("w", w, self)
        # The hardware takes all exposures in one call.
        return convolve_by_transforms(self.transform, x, w, key, lambda f, rows, key, elements: f(rows, key))

    def stages(self) -> tuple[Stage, ...]:
        """None: the effects of the hardware are its own."""
        return ()
