"""The Fourier engine: one optical transform at a time."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_flag, check_positive_number, check_shape
from optics._chunks import chunks_of, map_in_cache
from optics._fusion import fusion_barrier
from optics._keys import split_key
from optics._program import as_one_program
from optics._typing import (
    ArrayLike,
    EffectsLike,
    EncoderLike,
    FlagLike,
    MeasurementLike,
    ScalarLike,
    TransferLike,
)
from optics.detect import AbstractMeasurement, Coherent
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    Exposure,
    as_gain,
    as_headroom,
    check_camera,
    check_encoder,
    check_measurement,
    check_modulator,
    check_transfer,
    detects_real,
    draw_laser_power,
    encode,
    form_frames,
    full_scale_of,
    modulate,
)
from optics.device._modes import check_modes, largest_of_modes, meter_modes, sum_modes
from optics.effects import Effect, apply
from optics.encode import ComplexAmplitude, Encoder
from optics.transfer import AbstractTransfer, Dense


class FourierProcessor(AbstractDevice):
    """A Fourier engine: one optical transform at a time, and the product of two spectra in electronics.

        exposure = prepare(a)               drive, scale = encoder.encode(input_gain · a)
        frames = expose(exposure)           camera(measurement.frames(transfer(slm(drive)) / full_scale))
        F a ≈ reconstruct(frames, exposure) output_gain · scale · (field − background)
                                            field = combine(full_scale · measurement.field(frames))

    Full scale is set before each exposure: it is `headroom` times the brightest field that the modulator, as
    it is known to be driven, could give at any pixel. By the triangle inequality that is
    headroom · peak · Σ|slm(drive)|: the signal never saturates, the headroom is for noise, and noise per
    full scale means the same at every exposure. Like the scale of the encoder it is a setting, through which
    no gradient flows. (Behind a modulator that is not linear the scale does not cancel, and its gradient
    counts.)

    Arguments:
        transfer: `Dense`, `MaskedFFT` (compiled) or `FourierLens` (full wave optics): light -> light, pixels
            around the axis.
        measurement: `Coherent()`, `PhaseShifting(4)`, …: light -> frames -> field.
        slm: effects on the modulator, on amplitudes in units of the brightest pixel.
        camera: effects on the detector, on frames in units of full scale.
        input_gain, output_gain: calibrated gains on the numbers before and after, scalar or (rows, columns),
            real or complex, dimensionless; `input_gain` may be a `Dense` map instead, which undoes what gains
            cannot. A complex `output_gain` needs both quadratures of every field, also of one known to be
            real.
        peak: how bright one modulator pixel can make one detector pixel; by default `transfer.peak`.
        headroom: full scale over the brightest possible field, at least 1.
        encoder: numbers -> light, from `optics.encode`.
        full_scale: the field that full scale stands for at every exposure, in units of a modulator pixel's
            amplitude, scalar: a laser of one power and a receiver of one gain. None sets the light anew for
            each exposure; how much it then needs is `relative_light`.
        metering: set full scale by the brightest pixel of the light as it is, which one exposure more finds,
            in place of the bound; noise may then saturate that pixel. On panels the bound is far above any
            field. The ledger counts the exposure of the meter.
        background: field of the light that nothing modulates (gaps, leaks), as `subtract_background` measures
            it with all numbers 0, scalar or (rows, columns), in units of a modulator pixel's amplitude.

    Raises:
        ValueError: `peak` or `full_scale` not positive, `headroom` below 1, gains that are not finite or not
            of the shape of the transfer, a measurement or an encoder that is not an instance of one, light
            that the transfer does not take, or an effect where it has no meaning.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.FourierProcessor(optics.dft(4), camera=(optics.effects.Read(0.01),))
        >>> print(optics.transform(jnp.ones((4, 4)), device).shape)
        (4, 4)
    """

    transfer: AbstractTransfer
    measurement: AbstractMeasurement
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    input_gain: Array | Dense
    output_gain: Array
    background: Array
    peak: Array
    headroom: Array
    encoder: Encoder
    full_scale: Array | None
    metering: bool = eqx.field(static=True)

    def __init__(
        self,
        transfer: TransferLike,
        measurement: MeasurementLike = None,
        slm: EffectsLike = (),
        camera: EffectsLike = (),
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        peak: ScalarLike = None,
        headroom: ScalarLike = 1.05,
        encoder: EncoderLike = None,
        background: ArrayLike = 0.0,
        full_scale: ScalarLike | None = None,
        metering: FlagLike = False,
    ):
        measurement = Coherent() if measurement is None else measurement
        encoder = ComplexAmplitude() if encoder is None else encoder
        check_transfer("transfer", transfer)
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_camera("camera", camera, measurement)
        check_encoder(encoder)
        self.transfer = transfer
        self.measurement = measurement
        self.slm = tuple(slm)
        self.camera = tuple(camera)
        self.input_gain = (
            input_gain if isinstance(input_gain, Dense) else as_gain("input_gain", input_gain, transfer.shape)
        )
        self.output_gain = as_gain("output_gain", output_gain, transfer.shape)
        self.background = as_gain("background", background, transfer.shape)
        peak = transfer.peak if peak is None else peak
        check_positive_number("peak", peak)
        self.peak = as_leaf(peak)
        self.headroom = as_headroom(headroom)
        self.encoder = encoder
        if full_scale is not None:
            check_positive_number("full_scale", full_scale)
        self.full_scale = None if full_scale is None else as_leaf(full_scale)
        check_flag("metering", metering)
        if metering and full_scale is not None:
            raise ValueError(
                f"`metering` must be False with a `full_scale` of {full_scale}: it sets full scale anew for "
                "each exposure; leave one of them out."
            )
        self.metering = bool(metering)

    def __check_init__(self):
        if isinstance(self.input_gain, Dense) and self.input_gain.shape != self.shape:
            raise ValueError(
                f"`input_gain` must have the shape {self.shape} of the transfer, got {self.input_gain.shape}."
            )
        check_modes(self.slm, self.transfer)
        # Shapes alone: light that the transfer does not take is refused here and not at the first call.
        jax.eval_shape(FourierProcessor.background_field, self)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of modulator and detector."""
        return self.transfer.shape

    @as_one_program
    def prepare(self, a: Inexact[Array, "*lead rows cols"]) -> Exposure:
        """Set the electronics for numbers: the drive of the modulator, full scale, and the scale of the
        numbers.

        Arguments:
            a: numbers, shape (..., rows, columns), real or complex, any unit.

        Returns:
            `Exposure`.
        """
        calibrated = self.input_gain(a) if isinstance(self.input_gain, Dense) else a * self.input_gain
        drive, scale = encode(self.encoder, self.slm, self.transfer, calibrated)
        bound = self._bound(drive)
        if self.full_scale is not None:
            return Exposure(drive, jnp.broadcast_to(self.full_scale, bound.shape), scale)
        return Exposure(drive, full_scale_of(bound, self.headroom), scale)

    @as_one_program
    def relative_light(self, exposure: Exposure) -> Float[Array, "*lead exposures"]:
        """The power of all light behind the modulator, over that of a detector pixel at full scale.

            Σ |slm(drive)|² / full_scale²

        With full scale set for each exposure it differs from one to the next: one bright pixel alone needs a
        laser many times as strong as an even plane, for the detector is to see as much of it.

        Arguments:
            exposure: as `prepare` sets it.

        Returns:
            dimensionless, shape (..., exposures); times the power of a full-scale detector pixel it is W.
        """
        light = modulate(self.encoder, self.slm, self.transfer, exposure.drive, None)
        power = jnp.sum(jnp.abs(light) ** 2, axis=(-2, -1))
        return power / exposure.full_scale[..., 0, 0] ** 2

    def with_fixed_laser(self) -> "FourierProcessor":
        """The device with a laser of one power: full scale is that of the brightest plane there is.

        Dimmer planes then use a part of full scale, and have the noise of fewer photons.
        """
        brightest, _ = self.encoder.encode(jnp.ones(self.shape))
        full_scale = full_scale_of(self._bound(brightest).max(), self.headroom)
        return eqx.tree_at(
            lambda device: device.full_scale, self, full_scale, is_leaf=lambda leaf: leaf is None
        )

    def _bound(self, drive: Inexact[Array, "*lead slm_rows slm_cols"]) -> Float[Array, "*lead 1 1"]:
        """How bright the field of a drive can be at any pixel, by the triangle inequality; or, with a meter,
        how bright it is.
        """

        def light_of(slm):
            return jax.lax.stop_gradient(modulate(self.encoder, slm, self.transfer, drive, None))

        def propagate(parts):
            slm, transfer = parts
            return transfer(light_of(slm))

        def total(slm):
            light = light_of(slm)
            return jnp.sum(jnp.abs(light.reshape(*light.shape[:-2], 1, -1)), axis=-1, keepdims=True)

        if self.metering:
            return meter_modes((self.slm, self.transfer), propagate, self.measurement.linear)
        return self.peak * largest_of_modes(self.slm, total)

    @as_one_program
    def expose(
        self, exposure: Exposure, key: Array | None = None, real: bool = False
    ) -> Float[Array, "*lead exposures frames camera_rows camera_cols"]:
        """The frames that the camera gives of an exposure.

        Arguments:
            exposure: as `prepare` sets it; its `scale` does not matter here.
            key: of the noise, consumed; None gives frames without noise.
            real: the field is known to be real: a measurement that can detects that part only.

        Returns:
            frames in units of full scale, shape (..., exposures, frames, rows, columns).
        """
        light_key, camera_key = split_key(key, 2)
        return apply(self.camera, self.form_frames(exposure, light_key, real), camera_key)

    def form_frames(
        self, exposure: Exposure, key: Array | None, real: bool
    ) -> Float[Array, "*lead exposures frames camera_rows camera_cols"]:
        """The frames of `expose` before the effects of the camera: its arguments, and a key of the light."""
        field_is_real = detects_real(real, self.measurement, self.encoder, self.output_gain)

        def propagate(parts, key):
            slm, transfer = parts
            light = modulate(self.encoder, slm, transfer, exposure.drive, key)
            return transfer(light, real=field_is_real), draw_laser_power(slm, exposure.drive, key)

        parts = self.slm, self.transfer
        return form_frames(
            self.measurement, parts, propagate, exposure.full_scale, (key,), self.shape, field_is_real
        )

    @as_one_program
    def reconstruct(
        self,
        frames: Float[Array, "*lead exposures frames camera_rows camera_cols"],
        exposure: Exposure,
        real: bool = False,
    ) -> Inexact[Array, "*lead rows cols"]:
        """The transform from its frames.

        Arguments:
            frames: as `expose` gives them, or as the camera of a real bench does, in units of full scale.
            exposure: that the frames were taken with.
            real: as in `expose`.

        Returns:
            field, shape (..., rows, columns), in the unit of the numbers; complex unless `real`.
        """
        field = self.encoder.combine(self.measurement.field(frames) * exposure.full_scale)
        field = field - (self.background if jnp.iscomplexobj(field) else self.background.real)
        result = field * self.output_gain * exposure.scale
        return result.real if real else result

    @as_one_program
    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One optical Fourier transform, unitary scaling, origin at pixel n//2.

        Arguments, result and errors: those of `AbstractDevice.transform`.
        """
        check_shape("a", a, self)

        def transform_planes(planes, key):
            exposure = self.prepare(planes)
            return self.reconstruct(self.expose(exposure, key, real), exposure, real)

        planes = a.reshape(-1, *self.shape)
        map_planes = chunks_of(self.shape)
        return map_planes(transform_planes, planes, key, math.prod(self.shape)).reshape(a.shape)

    @as_one_program
    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: two transforms forward, a product, and one back.

        The lens only transforms forward; the way back is F⁻¹ P = conj(F conj P), a modulator setting.

        Arguments, result and errors: those of `AbstractDevice.convolve`.
        """
        return convolve_by_transforms(self.transform, x, w, key, chunks_of(self.shape))

    @as_one_program
    def background_field(self) -> Complex[Array, "rows cols"]:
        """The field at the detector while all numbers are 0, without noise, shape (rows, columns)."""
        drive, _ = self.encoder.encode(jnp.zeros(self.shape))

        def propagate(parts):
            slm, transfer = parts
            return transfer(modulate(self.encoder, slm, transfer, drive, None)) + 0j

        return self.encoder.combine(sum_modes((self.slm, self.transfer), propagate, linear=True))

    def subtract_background(self) -> "FourierProcessor":
        """The device with `background` measured: the field while all numbers are 0."""
        return eqx.tree_at(lambda device: device.background, self, self.background_field())

    def with_gains(self, input_gain: Array | Dense, output_gain: Array) -> "FourierProcessor":
        """The device with other calibrated gains."""
        return eqx.tree_at(
            lambda device: (device.input_gain, device.output_gain),
            self,
            (input_gain, output_gain),
            # `tree_at` looks no further than the map that may stand in for a gain.
            is_leaf=lambda leaf: isinstance(leaf, Dense),
        )

    def stages(self) -> tuple[Stage, ...]:
        """The modulator and the camera."""
        return (
            Stage("slm", self.slm, is_modulator=True, phase_only=self.encoder.phase_only),
            Stage(
                "camera",
                self.camera,
                is_modulator=False,
                single_exposure=self.measurement.single_exposure,
                metering=self.metering,
            ),
        )


def convolve_by_transforms(
    transform: Callable,
    x: Inexact[Array, "*xlead rows cols"],
    w: Inexact[Array, "*wlead rows cols"],
    key: Array | None,
    map_rows: Callable = map_in_cache,
    of_kernels: Callable | None = None,
    of_products: Callable | None = None,
) -> Inexact[Array, "*lead rows cols"]:
    """A convolution from transforms: both forward, their product in electronics, and one back.

    Arguments:
        transform: of a device, (a, key, real) -> spectrum.
        x, w, key: as of `AbstractDevice.convolve`.
        map_rows: how the products are transformed, with the arguments of `map_in_cache`.
        of_kernels, of_products: transforms of kernels and of products; None is `transform`.
    """
    of_kernels, of_products = of_kernels or transform, of_products or transform
    x_key, w_key, y_key = split_key(key, 3)
    real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
    pixels = x.shape[-2:]
    lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    x_lead, w_lead = ((1,) * (len(lead) + 2 - a.ndim) + a.shape[:-2] for a in (x, w))
    # The first axes, along which there is one kernel, are rows of products.
    split = next((i for i, count in enumerate(w_lead) if count > 1), len(lead))
    rows = fusion_barrier(transform(x, x_key)).reshape(-1, *x_lead[split:], *pixels)
    kernels = fusion_barrier(of_kernels(w, w_key)).reshape(*w_lead[split:], *pixels)

    def transform_products(rows, key):
        y = of_products(jnp.conj(rows * kernels), key, real=real)
        # Unitary transforms: F(x * w) = √(pixels) F x · F w.
        return math.sqrt(math.prod(pixels)) * (y if real else jnp.conj(y))

    y = map_rows(transform_products, rows, y_key, math.prod(lead[split:]) * math.prod(pixels))
    return y.reshape(*lead, *pixels)
