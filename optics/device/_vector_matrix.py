"""Products of vectors with a matrix: a line of sources fanned out over a modulator, and summed by a lens."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import check_choice, check_instance
from optics._keys import split_key
from optics._numerics import safe_divide, safe_sign
from optics._program import as_one_program
from optics._typing import ArrayLike, EffectsLike, MeasurementLike, PartLike, ScalarLike, TextLike
from optics.detect import AbstractMeasurement
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    as_headroom,
    check_camera,
    check_measurement,
    check_modulator,
    check_photodiodes,
    check_power_modulator,
    draw_laser_power,
    encode_amplitude,
    form_frames,
    full_scale_of,
)
from optics.device._products import (
    ProductExposure,
    as_gains,
    check_product,
    fit_gains,
    fit_power_gains,
    pad_matrix,
    zero_where_no_light,
)
from optics.effects import Effect, apply
from optics.transfer import AbstractBilinear

SIGNS = ("balanced", "offset", "differential")


class VectorMatrixMultiplier(AbstractDevice):
    """The Stanford multiplier: each row of a is one exposure of a line of sources, b stands on a modulator.

    Source l lights the modulator elements (l, j) of all columns j; a cylindrical lens adds the light of all l
    at detector j. Sources that do not interfere add powers, and a sign takes two of them:

        "balanced":  y_j = (I⁺⁺ − I⁺⁻) − (I⁻⁺ − I⁻⁻),   I^st_j = Σ_l a^s_l |t_lj(b^t)|²
        "offset":    y_j = 4 I_j − k − Σ_l a_l − Σ_l b_lj,   I_j = Σ_l ½(1 + a_l) |t_lj(½(1 + b))|²
        "differential":  y_j = Σ_l a_l [|t_lj(½(1 + b))|² − |t_lj(½(1 − b))|²]

    Here a^± and b^± are the positive and negative parts, in units of the largest number of the row or matrix,
    and t the transmission of the optics. Balanced detection has two modulator elements and a pair of
    photodiodes for each number of b, and an exposure for either sign of a; offset detection has one of each
    and sees k sources at half their power where the product may be small. In differential rails an element
    divides its light between two photodiodes whose currents are subtracted before the converter, and a source
    with a sign exchanges them: one signed frame, whose light is the same for every b. With a `measurement`
    the sources are amplitudes and phases of one laser, and the receivers see the field Σ_l a_l t_lj(b).

    The matrix is written once and held for all rows, with one draw of its modulator. Full scale is set for
    each exposure: `headroom` times the light of all its sources through open elements, and for coherent light
    the Cauchy-Schwarz bound. A row or a sign without light is not exposed.

    Arguments:
        lenses: `CrossedLenses` of one row (full wave optics), `compile_crossed(lenses)`, or
            `ExactProduct(shape)`, shape (1, k, n).
        measurement: of coherent light, -> frames -> field; None for sources that do not interfere.
        signs: "balanced", "offset" or "differential", of incoherent light.
        sources, slm: effects on the sources and on the modulator: on powers in units of the brightest
            element; on signed numbers for differential rails; or, coherent, on amplitudes.
        camera: effects on the frames.
        input_gain: on the numbers of a before they are written, real, scalar or (k,).
        output_gain: on the result, scalar or (1, n), real or complex; of coherent light its phase is set on
            the receivers' local oscillators. `with_fitted_gains()` sets both.
        headroom: full scale over the brightest possible light, at least 1.

    Raises:
        ValueError: `lenses` of another kind or of more rows than one, unknown `signs`, gains not finite or of
            another shape, `headroom` below 1, or an effect where it has no meaning.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> lenses = optics.CrossedLenses((1, 4, 4), pitch=127e-6, wavelength=1.55e-6, fill=0.8)
        >>> device = optics.VectorMatrixMultiplier(optics.compile_crossed(lenses)).with_fitted_gains()
        >>> optics.matmul(jnp.ones((2, 4)), -jnp.eye(4), device).round().tolist()[0]
        [-1.0, -1.0, -1.0, -1.0]

    Source: J. W. Goodman, A. R. Dias and L. M. Woody, Opt. Lett. 2, 1 (1978).
    """

    lenses: AbstractBilinear
    measurement: AbstractMeasurement | None
    signs: str = eqx.field(static=True)
    sources: tuple[Effect, ...]
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    input_gain: Array
    output_gain: Array
    headroom: Array

    def __init__(
        self,
        lenses: PartLike,
        measurement: MeasurementLike = None,
        signs: TextLike = "balanced",
        sources: EffectsLike = (),
        slm: EffectsLike = (),
        camera: EffectsLike = (),
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        headroom: ScalarLike = 1.05,
    ):
        check_instance("lenses", lenses, AbstractBilinear, "`optics.compile_crossed(lenses)`")
        m, k, n = lenses.shape
        if m != 1:
            raise ValueError(
                f"`lenses` must have one row, got the shape {lenses.shape}; use a `MatrixMatrixMultiplier`."
            )
        check_choice("signs", signs, SIGNS)
        if measurement is None:
            is_differential = signs == "differential"
            for name, chain in (("sources", sources), ("slm", slm)):
                check_power_modulator(name, chain, signed=is_differential)
            check_photodiodes("camera", camera, signed=is_differential)
        else:
            check_measurement(measurement)
            for name, chain in (("sources", sources), ("slm", slm)):
                check_modulator(name, chain)
            check_camera("camera", camera, measurement)
        self.lenses, self.measurement, self.signs = lenses, measurement, signs
        self.sources, self.slm, self.camera = tuple(sources), tuple(slm), tuple(camera)
        self.input_gain, self.output_gain = as_gains(input_gain, (k,), output_gain, (m, n))
        self.headroom = as_headroom(headroom)

    @property
    def shape(self) -> tuple[int, int]:
        """Elements (rows, columns) of the modulator, (k, n)."""
        return self.lenses.shape[1:]

    @property
    def product_shape(self) -> tuple[None, int, int]:
        """(None, k, n): every row is an exposure of its own."""
        return (None, *self.shape)

    def with_fitted_gains(self) -> "VectorMatrixMultiplier":
        """The device with the gains that bring its optics closest to the product, without noise."""
        if self.measurement is not None:
            before, after = fit_gains(self.lenses)
        else:
            # Where they work: single elements of balanced pairs, or all of them half open.
            before, after = fit_power_gains(self.lenses, half_open=self.signs != "balanced")
        return eqx.tree_at(lambda device: (device.input_gain, device.output_gain), self, (before, after))

    @as_one_program
    def prepare(self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]) -> ProductExposure:
        """Set the electronics for the rows of a and the matrix b: the drives, full scale and scale.

        Arguments:
            a, b: numbers, shapes (..., m, k) and (..., k, n), k and n those of the device, any units; complex
                ones for coherent light alone.

        Returns:
            `ProductExposure`, its drives of shapes (..., m, exposures, k) and (..., parts, k, n), full scale
            (..., m, exposures, 1, 1), scale (..., m, 1).
        """
        rows = a[..., None, :]
        if self.measurement is not None:
            drive_a, scale_a = encode_amplitude(rows * self.input_gain, self.sources)
            drive_b, scale_b = encode_amplitude(b, self.slm)
            light = jax.lax.stop_gradient(apply(self.sources, drive_a, None))
            columns = jax.lax.stop_gradient(apply(self.slm, drive_b, None))
            bright = jnp.sqrt(jnp.max(jnp.sum(jnp.abs(columns) ** 2, -2), -1))[..., None, None]
            bound = self.lenses.peak * bright * jnp.sqrt(jnp.sum(jnp.abs(light) ** 2, -1))
            drive_b = drive_b[..., None, :, :]
        else:
            drive_a, scale_a = self._encode_sources(rows)
            drive_b, scale_b = self._encode_matrix(b[..., None, :, :])
            light = jax.lax.stop_gradient(apply(self.sources, drive_a, None))
            bound = self.lenses.peak**2 * jnp.sum(jnp.abs(light), -1)
            scale_b = scale_b[..., 0, :, :]
        full_scale = full_scale_of(bound, self.headroom)[..., None, None]
        return ProductExposure((drive_a, drive_b), full_scale, scale_a[..., 0] * scale_b)

    @as_one_program
    def expose(
        self, exposure: ProductExposure, key: Array | None = None, real: bool = False
    ) -> Float[Array, "*lead m exposures frames parts n"]:
        """The frames that the detectors give of an exposure.

        Arguments:
            exposure: as `prepare` sets it; its `scale` does not matter here.
            key: of the noise, consumed; None gives frames without noise.
            real: the field of coherent light is known to be real.

        Returns:
            frames in units of full scale, shape (..., m, exposures, frames, parts, n): for balanced pairs a
            row of photodiodes for either sign of b.
        """
        source_key, slm_key, camera_key = split_key(key, 3)
        drive_a, drive_b = exposure.drive
        if self.measurement is None:
            passing = apply(self.slm, drive_b, slm_key)
            if self.signs == "differential":
                powers = self.lenses.power((1 + passing) / 2) - self.lenses.power((1 - passing) / 2)
            else:
                powers = self.lenses.power(passing)
            light = apply(self.sources, drive_a, source_key)
            frames = _sum_light(light, powers)[..., None, :, :] / exposure.full_scale[..., None, :, :]
            return apply(self.camera, frames, camera_key)
        oscillator = safe_sign(self.output_gain)
        field_is_real = self._detects_real(real)

        def propagate(_, source_key, slm_key):
            matrix = self.lenses.transmission(apply(self.slm, drive_b, slm_key))
            field = _sum_light(apply(self.sources, drive_a, source_key), matrix) * oscillator
            power = draw_laser_power(self.sources, drive_a, source_key)
            return (field.real if field_is_real else field + 0j), power

        frames = form_frames(
            self.measurement,
            (),
            propagate,
            exposure.full_scale,
            (source_key, slm_key),
            (1, self.shape[1]),
            field_is_real,
        )
        return apply(self.camera, frames, camera_key)

    @as_one_program
    def reconstruct(
        self,
        frames: Float[Array, "*lead m exposures frames parts n"],
        exposure: ProductExposure,
        real: bool = False,
    ) -> Inexact[Array, "*lead m n"]:
        """The product from its frames.

        Arguments:
            frames: as `expose` gives them.
            exposure: that the frames were taken with.
            real: as in `expose`.

        Returns:
            shape (..., m, n), in the product of the units of a and b.
        """
        drive_a, drive_b = exposure.drive
        gain = jnp.abs(self.output_gain)
        if self.measurement is not None:
            field = self.measurement.field(frames)[..., 0, 0, :] * exposure.full_scale[..., 0, 0]
            result = field * gain * exposure.scale
            return result.real if real else result
        powers = frames[..., 0, :, :] * exposure.full_scale * gain
        if self.signs == "differential":
            return powers[..., 0, 0, :] * exposure.scale
        if self.signs == "balanced":
            # An exposure without light is not taken.
            lit = jnp.any(drive_a != 0, -1)[..., None, None]
            powers = jnp.where(lit, powers, powers - jax.lax.stop_gradient(powers))
            difference = powers[..., 0, :] - powers[..., 1, :]
            return (difference[..., 0, :] - difference[..., 1, :]) * exposure.scale
        # The sums that the offsets add are known: Σ ½(1 + a), of which ½ Σ (1 + a) ½(1 + b) are made.
        inner = self.shape[0]
        a = 2 * safe_divide(drive_a[..., 0, :], self.input_gain) - 1
        known = inner + jnp.sum(a, -1, keepdims=True) + jnp.sum(2 * drive_b - 1, -2)
        return (4 * powers[..., 0, 0, :] - known) * exposure.scale

    @as_one_program
    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """An exposure for each row of a, or two of balanced pairs.

        Arguments, result and errors: those of `AbstractDevice.matmul`; and complex numbers in incoherent
        light.
        """
        check_product(a, b, self)
        real = not (jnp.iscomplexobj(a) or jnp.iscomplexobj(b))
        if self.measurement is None and not real:
            raise ValueError(
                "`a` and `b` must be real for light that does not interfere; give the device a "
                "`measurement`, such as `optics.Coherent()`, or multiply real and imaginary parts apart."
            )
        inner, cols = self.shape
        n = b.shape[-1]
        exposure = self.prepare(pad_matrix(a, a.shape[-2], inner), pad_matrix(b, inner, cols))
        result = self.reconstruct(self.expose(exposure, key, real), exposure, real)[..., :n]
        return zero_where_no_light(result, jnp.any(a != 0, -1) & jnp.any(b != 0, (-2, -1))[..., None])

    def stages(self) -> tuple[Stage, ...]:
        """The sources, the modulator and the detectors."""
        single = self.measurement is None or self.measurement.single_exposure
        return (
            Stage("sources", self.sources, is_modulator=True),
            Stage("slm", self.slm, is_modulator=True),
            Stage("camera", self.camera, is_modulator=False, single_exposure=single),
        )

    def _encode_sources(self, rows: Float[Array, "*lead m 1 k"]) -> tuple[Array, Array]:
        """Powers of the sources in every exposure, and the scale of each row."""
        if self.signs == "offset":
            drive, scale = _half_open(rows, -1, -2)
            return drive * self.input_gain, scale
        calibrated = rows * self.input_gain
        return _parts(calibrated, -1, -2) if self.signs == "balanced" else _scale_to_largest(calibrated, -1)

    def _encode_matrix(self, b: Float[Array, "*lead 1 k n"]) -> tuple[Array, Array]:
        """What is written to the modulator, (..., parts, k, n), and the scale of each matrix."""
        axes = (-2, -1)
        if self.signs == "differential":
            return _scale_to_largest(b, axes)
        return (_parts if self.signs == "balanced" else _half_open)(b, axes, -3)

    def _detects_real(self, real: bool) -> bool:
        return real and self.measurement is not None and self.measurement.supports_real


def _sum_light(
    light: Inexact[Array, "*alead m exposures k"], matrix: Inexact[Array, "*blead parts k n"]
) -> Inexact[Array, "*lead m exposures parts n"]:
    """Σ_l light_l matrix_lj, of all rows and parts in one product of matrices."""
    m, exposures, k = light.shape[-3:]
    parts, _, n = matrix.shape[-3:]
    rows = light.reshape(*light.shape[:-3], m * exposures, k)
    columns = jnp.swapaxes(matrix, -3, -2).reshape(*matrix.shape[:-3], k, parts * n)
    y = jnp.matmul(rows, columns, precision="highest")
    return y.reshape(*y.shape[:-2], m, exposures, parts, n)


def _scale_to_largest(a: Float[Array, "*any"], axes) -> tuple[Array, Array]:
    """Numbers in units of the largest along the axes, and that scale; a setting without gradient."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(a), axes, keepdims=True))
    scale = jnp.where(largest > 0, largest, 1)
    return a / scale, scale


def _parts(a: Float[Array, "*any"], axes, stack_axis: int) -> tuple[Array, Array]:
    """Positive and negative parts along `stack_axis`, which has one entry, and their scale."""
    a, scale = _scale_to_largest(a, axes)
    # Half a slope at zero, so that both have it together.
    parts = (a + jnp.abs(a)) / 2, (jnp.abs(a) - a) / 2
    return jnp.concatenate(parts, stack_axis), scale


def _half_open(a: Float[Array, "*any"], axes, stack_axis: int) -> tuple[Array, Array]:
    """½ (1 + a), from 0 to 1, and the scale of a."""
    a, scale = _scale_to_largest(a, axes)
    return (1 + a) / 2, scale
