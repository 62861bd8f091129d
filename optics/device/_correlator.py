"""The 4f correlator: two lenses and a filter between them."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import check_flag, check_function, check_shape
from optics._chunks import map_pairs
from optics._keys import split_key
from optics._numerics import reverse_about_centre
from optics._program import as_one_program
from optics._typing import (
    ArrayLike,
    EffectsLike,
    EncoderLike,
    FlagLike,
    FunctionLike,
    MeasurementLike,
    ScalarLike,
    TransferLike,
)
from optics.detect import AbstractMeasurement, Coherent
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    as_gain,
    as_headroom,
    centred_spectrum,
    check_camera,
    check_encoder,
    check_measurement,
    check_modulator,
    check_same_pixels,
    check_transfer,
    detects_real,
    draw_laser_power,
    encode,
    encode_amplitude,
    form_frames,
    full_scale_of,
    modulate,
)
from optics.device._modes import check_modes, largest_of_modes, meter_modes
from optics.effects import Effect, apply
from optics.encode import ComplexAmplitude, Encoder, complex_amplitude, flat_spectrum, phase_only
from optics.transfer import AbstractTransfer, without_phases


class Correlator(AbstractDevice):
    """A 4f correlator: the kernel's spectrum is a filter that light passes on its way through two lenses.

        y = scale · measurement.field(camera(measurement.frames(second(filter(F w) · first(slm(encode(x)))))))

    The spectrum of the kernel is computed in electronics; with a fixed kernel a convolution is one exposure.
    Two lenses forward turn the plane upside down, which the readout undoes. A filter pixel passes the mode of
    its own square.

    Full scale is `headroom` times a bound on the output by the Cauchy-Schwarz inequality,
    peak · ‖filter(drive)‖₂ · ‖slm(drive)‖₂: lenses are passive, so the signal never saturates.

    Arguments:
        first: modulator -> filter, `Dense`, `MaskedFFT` (compiled) or `FourierLens`.
        second: filter -> detector; by default `first` again, without the phases of a `Modal`: a difference of
            paths counts once. Light from several directions needs a second one without tilts.
        measurement: light -> frames -> field.
        slm, filter: effects on the two modulators, on amplitudes in units of the brightest pixel.
        camera: effects on the frames.
        input_gain, output_gain: calibrated gains of one lens, as `calibrate` finds for a `FourierProcessor`:
            on the numbers before, between (in the filter, as output_gain · input_gain) and after; scalar or
            (rows, columns), dimensionless.
        headroom: full scale over the brightest possible field, at least 1.
        metering: set full scale by the brightest pixel of the light as it is, which one exposure more finds,
            in place of the bound; noise may then saturate that pixel. On panels the bound is far above any
            field. The ledger counts the exposure of the meter.
        encoder: numbers -> light.
        encode_filter: spectrum -> (drive, scale): `optics.encode.complex_amplitude`, or
            `optics.encode.phase_only`, for which the kernel that x is convolved with has the phases of F w
            and amplitude 1, or `optics.encode.flat_spectrum`, the same with the norm of w. A filter of phase
            alone takes the phases of the gains between; the shading that the lenses leave there stays.

    Raises:
        ValueError: lenses of different shapes, `headroom` below 1, gains not finite or of another shape, a
            measurement or an encoder that is not an instance of one, or an effect where it has no meaning.

    Source: A. VanderLugt, IEEE Trans. Inf. Theory 10, 139 (1964); for phase-only filters J. L. Horner and P.
        D. Gianino, Appl. Opt. 23, 812 (1984).
    """

    first: AbstractTransfer
    second: AbstractTransfer
    measurement: AbstractMeasurement
    slm: tuple[Effect, ...]
    filter: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    input_gain: Array
    output_gain: Array
    headroom: Array
    encoder: Encoder
    encode_filter: Callable = eqx.field(static=True)
    metering: bool = eqx.field(static=True)

    def __init__(
        self,
        first: TransferLike,
        second: TransferLike | None = None,
        measurement: MeasurementLike = None,
        slm: EffectsLike = (),
        filter: EffectsLike = (),
        camera: EffectsLike = (),
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        headroom: ScalarLike = 1.05,
        encoder: EncoderLike = None,
        encode_filter: FunctionLike = complex_amplitude,
        metering: FlagLike = False,
    ):
        measurement = Coherent() if measurement is None else measurement
        encoder = ComplexAmplitude() if encoder is None else encoder
        second = without_phases(first) if second is None else second
        check_transfer("first", first)
        check_transfer("second", second)
        check_function("encode_filter", encode_filter, "`optics.encode.phase_only`")
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_modulator("filter", filter)
        check_camera("camera", camera, measurement)
        check_encoder(encoder)
        self.first = first
        self.second = second
        self.measurement = measurement
        self.slm = tuple(slm)
        self.filter = tuple(filter)
        self.camera = tuple(camera)
        self.input_gain = as_gain("input_gain", input_gain, first.shape)
        self.output_gain = as_gain("output_gain", output_gain, first.shape)
        self.headroom = as_headroom(headroom)
        self.encoder = encoder
        self.encode_filter = encode_filter
        check_flag("metering", metering)
        self.metering = bool(metering)

    def __check_init__(self):
        check_same_pixels(self.first, self.second)
        if self.second.subpixels != 1:
            raise ValueError(
                f"`second` must start from whole pixels, got {self.second.subpixels} `subpixels`; only "
                "`first` may divide them."
            )
        check_modes(self.slm, self.first, self.filter, self.second)
        # Shapes alone: light that the first lens does not take is refused here and not at the first call.
        jax.eval_shape(Correlator._dark_light, self)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of modulators and detector."""
        return self.first.shape

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
        pixels = math.prod(self.shape)
        if key is None:
            return map_pairs(self._convolve, x, w, None, pixels)
        # Each pair of planes is an exposure with its own draw; what has none is computed once for all pairs.
        lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        convolve = jnp.vectorize(self._convolve, signature="(r,c),(r,c),()->(r,c)")
        return map_pairs(convolve, x, w, split_key(key, lead), pixels)

    def _dark_light(self) -> Array:
        drive, _ = self.encoder.encode(jnp.zeros(self.shape))
        return modulate(self.encoder, self.slm, self.first, drive, None)

    def _convolve(self, x: Array, w: Array, key: Array | None) -> Array:
        real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
        *modulator_keys, camera_key = split_key(key, 3)
        drive, scale = encode(self.encoder, self.slm, self.first, x * self.input_gain)
        passing, filter_scale = self.encode_filter(centred_spectrum(w))
        between, shading = self._gains_between()
        passing, gain_scale = encode_amplitude(passing * between, self.filter)

        parts = self.slm, self.first, self.filter, self.second

        def modulate_both(parts, slm_key, filter_key):
            slm, first, filter, _ = parts
            light = modulate(self.encoder, slm, first, drive, slm_key)
            return light, apply(filter, passing, filter_key)[..., None, :, :]

        def field_of(parts, slm_key=None, filter_key=None, **options):
            _, first, _, second = parts
            light, transmission = modulate_both(parts, slm_key, filter_key)
            return second(first(light) * transmission, **options)

        def bound_of(parts):
            light, transmission = map(jax.lax.stop_gradient, modulate_both(parts, None, None))
            return _norm(jnp.abs(transmission)) * _norm(jnp.abs(light))

        if self.metering:
            bound = meter_modes(parts, field_of, self.measurement.linear)
        else:
            modulators = self.slm, self.filter
            bound = self.second.peak * largest_of_modes(
                modulators, lambda chains: bound_of((chains[0], self.first, chains[1], None))
            )
        full_scale = full_scale_of(bound, self.headroom)
        field_is_real = detects_real(real, self.measurement, self.encoder, self.output_gain)

        def propagate(parts, slm_key, filter_key):
            field = field_of(parts, slm_key, filter_key, real=field_is_real)
            return field, draw_laser_power(parts[0], drive, slm_key)

        frames = form_frames(
            self.measurement, parts, propagate, full_scale, tuple(modulator_keys), self.shape, field_is_real
        )
        frames = apply(self.camera, frames, camera_key)
        result = reverse_about_centre(self.encoder.combine(self.measurement.field(frames) * full_scale))
        # The detector's gains belong to its own pixels, before the plane is reversed.
        output_gain = reverse_about_centre(jnp.broadcast_to(self.output_gain, self.shape))
        result = result * (output_gain * scale * filter_scale * gain_scale * shading)
        result = math.sqrt(math.prod(self.shape)) * result
        return result.real if real else result

    def _gains_between(self) -> tuple[Array, Array]:
        """The gains on the filter, and the mean of those that a filter of phase alone cannot set."""
        gains = self.output_gain * self.input_gain
        if not self._has_phase_filter():
            return gains, jnp.ones(())
        size = jnp.abs(gains)
        return gains / size, 1 / jnp.mean(1 / size)

    def _has_phase_filter(self) -> bool:
        return self.encode_filter in (phase_only, flat_spectrum)

    def stages(self) -> tuple[Stage, ...]:
        """The modulator, the filter and the camera."""
        return (
            Stage("slm", self.slm, is_modulator=True, phase_only=self.encoder.phase_only),
            Stage("filter", self.filter, is_modulator=True, phase_only=self._has_phase_filter()),
            Stage(
                "camera",
                self.camera,
                is_modulator=False,
                single_exposure=self.measurement.single_exposure,
                metering=self.metering,
            ),
        )


def _norm(light: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
    return jnp.sqrt(jnp.sum(jnp.abs(light) ** 2, axis=(-2, -1), keepdims=True))
