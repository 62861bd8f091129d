"""The joint transform correlator: both arrays side by side, and a camera between two transforms."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import as_pixels, check_flag, check_shape
from optics._chunks import PANEL_PIXELS, map_pairs
from optics._keys import split_key
from optics._numerics import reverse_about_centre
from optics._program import as_one_program
from optics._typing import (
    ArrayLike,
    EffectsLike,
    FlagLike,
    MeasurementLike,
    ScalarLike,
    ShapeLike,
    TransferLike,
)
from optics.detect import AbstractMeasurement, Coherent, Intensity
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    as_gain,
    as_headroom,
    check_camera,
    check_measurement,
    check_modulator,
    check_transfer,
    draw_laser_power,
    encode,
    encode_amplitude,
    form_frames,
    full_scale_of,
    modulate,
)
from optics.device._modes import check_modes, largest_of_modes, meter_modes
from optics.effects import Effect, apply
from optics.encode import ComplexAmplitude
from optics.transfer import AbstractTransfer

_POWER = Intensity(lambda amplitude: amplitude)


class JointTransform(AbstractDevice):
    """A joint transform correlator: x and w on one modulator, their joint power spectrum on a camera, and
    back again.

        J = |F (x̃ + w shifted by D)|²,   x̃[n] = conj(x[−n]),   D = 2 columns − 1
        (F J)[−i − D] = (x ∗ w)[i] / √(pixels of the modulator)

    No filter must be computed or aligned: the interference of the two spectra is their product. The camera
    measures the joint power spectrum, which the modulator then takes and the lens transforms once more. Three
    terms appear: x̃ and w with themselves in the middle, and the convolution on either side, of which one is
    read. It is the linear convolution, and is added up to the circular one.

    Arguments:
        transfer: the optical transform, of at least 6 · columns − 3 columns, and of `rows` or at least 2 ·
            rows − 1 rows.
        shape: (rows, columns) of the arrays.
        measurement: of the second transform: light -> frames -> field.
        slm: effects on the modulator, in both passes.
        camera: effects on the frame of the joint power spectrum, in units of full scale.
        detector: effects on the frames of the second transform; by default those of `camera`.
        input_gain, output_gain: calibrated gains of the transfer, as `calibrate` finds for a
            `FourierProcessor`: on the numbers that the modulator takes, and on the power spectrum (squared)
                and the field that are measured; scalar
            or of the transfer's shape.
        headroom: full scale over the brightest possible field, at least 1.
        metering: set full scale of each of the two frames by the brightest pixel of the light that is read of
            it, in place of the bound; noise may then saturate that pixel. The terms of x and w with
            themselves are far brighter than the convolution; where nothing is read a receiver may saturate.

    Raises:
        ValueError: gains not finite or of another shape, a transfer too small for `shape`, `headroom` below
            1, a measurement that is not an instance of one, or an effect where it has no meaning.

    Source: C. S. Weaver and J. W. Goodman, Appl. Opt. 5, 1248 (1966).
    """

    transfer: AbstractTransfer
    shape: tuple[int, int] = eqx.field(static=True)
    measurement: AbstractMeasurement
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    detector: tuple[Effect, ...]
    input_gain: Array
    output_gain: Array
    headroom: Array
    metering: bool = eqx.field(static=True)

    def __init__(
        self,
        transfer: TransferLike,
        shape: ShapeLike,
        measurement: MeasurementLike = None,
        slm: EffectsLike = (),
        camera: EffectsLike = (),
        detector: EffectsLike = None,
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        headroom: ScalarLike = 1.05,
        metering: FlagLike = False,
    ):
        measurement = Coherent() if measurement is None else measurement
        detector = camera if detector is None else detector
        check_transfer("transfer", transfer)
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_camera("camera", camera, _POWER)
        check_camera("detector", detector, measurement)
        rows, cols = as_pixels("shape", shape)
        plane = transfer.shape
        if plane[1] < 6 * cols - 3 or not (plane[0] == rows or plane[0] >= 2 * rows - 1):
            raise ValueError(
                f"`transfer` must have at least {6 * cols - 3} columns, and {rows} or at least "
                f"{2 * rows - 1} rows, for arrays "
                f"of {rows}×{cols}, got {plane[0]}×{plane[1]}."
            )
        self.transfer = transfer
        self.shape = (rows, cols)
        self.measurement = measurement
        self.slm = tuple(slm)
        self.camera = tuple(camera)
        self.detector = tuple(detector)
        self.input_gain = as_gain("input_gain", input_gain, plane)
        self.output_gain = as_gain("output_gain", output_gain, plane)
        self.headroom = as_headroom(headroom)
        check_flag("metering", metering)
        self.metering = bool(metering)

    def __check_init__(self):
        check_modes(self.slm, self.transfer)

    @as_one_program
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
        pixels = math.prod(self.transfer.shape)
        if pixels < PANEL_PIXELS:
            return self._convolve(x, w, key)
        if key is None:
            return map_pairs(self._convolve, x, w, None, pixels)
        # A batch of panels runs in chunks: each pair of planes has its own draw.
        lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        convolve = jnp.vectorize(self._convolve, signature="(r,c),(r,c),()->(r,c)")
        return map_pairs(convolve, x, w, split_key(key, lead), pixels)

    def _convolve(self, x: Array, w: Array, key: Array | None) -> Array:
        power_key, field_key = split_key(key, 2)
        real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
        (x, x_scale), (w, w_scale) = (
            encode_amplitude(jnp.conj(reverse_about_centre(x)), self.slm),
            encode_amplitude(w, self.slm),
        )
        power, power_scale = self._measure_power(self._side_by_side(x, w), power_key)
        field, field_scale = self._measure_field(power, field_key, real)
        plane = math.sqrt(math.prod(self.transfer.shape))
        return plane * self._wrap_output(field) * (power_scale**2 * field_scale * x_scale * w_scale)

    def stages(self) -> tuple[Stage, ...]:
        """The modulator, the camera of the joint power spectrum, and the detector of the second transform."""
        return (
            Stage("slm", self.slm, is_modulator=True),
            Stage("camera", self.camera, is_modulator=False, metering=self.metering),
            Stage(
                "detector",
                self.detector,
                is_modulator=False,
                single_exposure=self.measurement.single_exposure,
                metering=self.metering,
            ),
        )

    def _measure_power(self, a: Array, key: Array | None) -> tuple[Array, Array]:
        """The frame of the joint power spectrum, and the field that its full scale stands for."""
        frames, full_scale = self._expose(a, _POWER, self.camera, key, False)
        return frames[..., 0, 0, :, :] * jnp.abs(self.output_gain) ** 2, full_scale

    def _measure_field(self, a: Array, key: Array | None, real: bool) -> tuple[Array, Array]:
        """The field of the second transform in units of full scale, and the field that full scale stands
        for.
        """
        frames, full_scale = self._expose(a, self.measurement, self.detector, key, real, self._read_lines)
        field = self.measurement.field(frames)[..., 0, :, :] * self.output_gain
        return (field.real if real else field), full_scale

    def _expose(
        self,
        a: Array,
        measurement: AbstractMeasurement,
        camera: tuple[Effect, ...],
        key: Array | None,
        real: bool,
        read: Callable[[Array], Array] = lambda field: field,
    ) -> tuple[Array, Array]:
        """The frames of one transform, and the field that their full scale stands for, in the unit of `a`;
        `read` takes the pixels that matter.
        """
        slm_key, camera_key = split_key(key, 2)
        encoder, field_is_real = ComplexAmplitude(), real and measurement.supports_real
        drive, scale = encode(encoder, self.slm, self.transfer, a * self.input_gain)
        parts, plane = (self.slm, self.transfer), self.transfer.shape

        def field_of(parts, key=None, **options):
            slm, transfer = parts
            return transfer(modulate(encoder, slm, transfer, drive, key), **options)

        def total(slm):
            steady = jax.lax.stop_gradient(modulate(encoder, slm, self.transfer, drive, None))
            return jnp.sum(jnp.abs(steady), axis=(-2, -1), keepdims=True)

        if self.metering:
            bound = meter_modes(parts, lambda parts: read(field_of(parts)), measurement.linear)
        else:
            bound = self.transfer.peak * largest_of_modes(self.slm, total)
        full_scale = full_scale_of(bound, self.headroom)

        def propagate(parts, key):
            return field_of(parts, key, real=field_is_real), draw_laser_power(parts[0], drive, key)

        frames = form_frames(measurement, parts, propagate, full_scale, (slm_key,), plane, field_is_real)
        return apply(camera, frames, camera_key), full_scale[..., 0, :, :] * scale

    def _side_by_side(self, x: Array, w: Array) -> Array:
        """x on the left and w on the right of the middle of the modulator, D columns apart."""
        lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        (rows, cols), plane = self.shape, self.transfer.shape
        top = plane[0] // 2 - rows // 2
        left = plane[1] // 2 - (2 * cols - 1) // 2 - cols // 2
        joint = jnp.zeros((*lead, *plane), jnp.result_type(x, w))
        for a, start in ((x, left), (w, left + 2 * cols - 1)):
            joint = joint.at[..., top : top + rows, start : start + cols].set(
                jnp.broadcast_to(a, (*lead, rows, cols))
            )
        return joint

    def _read_rows(self) -> np.ndarray:
        """Rows of the linear convolution, from its middle; those of the device where the plane wraps them."""
        rows = self.shape[0]
        return np.arange(rows) - rows // 2 if self.transfer.shape[0] == rows else np.arange(-rows + 1, rows)

    def _read_columns(self) -> np.ndarray:
        """Columns of the linear convolution, from its middle."""
        return np.arange(-self.shape[1] + 1, self.shape[1])

    def _read_lines(self, field: Array) -> Array:
        """The linear convolution, on its side of the output."""
        plane, shift = self.transfer.shape, 2 * self.shape[1] - 1
        at_row = (plane[0] // 2 - self._read_rows()) % plane[0]
        at_column = (plane[1] // 2 - self._read_columns() - shift) % plane[1]
        return field[..., at_row, :][..., at_column]

    def _wrap_output(self, field: Array) -> Array:
        """Take the convolution from its side of the output and add up what a circular one adds up."""
        (rows, cols), linear = self.shape, self._read_lines(field)
        folded = (
            jnp.zeros((*field.shape[:-2], rows, linear.shape[-1]), field.dtype)
            .at[..., (self._read_rows() + rows // 2) % rows, :]
            .add(linear)
        )
        return (
            jnp.zeros((*field.shape[:-2], rows, cols), field.dtype)
            .at[..., (self._read_columns() + cols // 2) % cols]
            .add(folded)
        )
