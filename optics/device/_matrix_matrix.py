"""One-shot product of two matrices by cylindrical lenses."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import check_instance
from optics._keys import split_key
from optics._program import as_one_program
from optics._typing import ArrayLike, EffectsLike, MeasurementLike, PartLike, ScalarLike
from optics.detect import AbstractMeasurement, Coherent
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    as_headroom,
    check_camera,
    check_measurement,
    check_modulator,
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
    pad_matrix,
    zero_where_no_light,
)
from optics.effects import Effect, apply
from optics.transfer import AbstractBilinear


class MatrixMatrixMultiplier(AbstractDevice):
    """A product of two matrices in one exposure: coherent light, two modulators and cylindrical lenses.

        frames = camera(measurement.frames(lenses(slm_a(a), slm_b(b)) / full_scale))
        a b ≈ scale · output_gain · field(frames) · full_scale

    Row i of a carries a phase ramp of its own. A lens spreads the rows over the second modulator, which holds
    the columns of b, and another one adds the products along each row; `CrossedLenses` has the geometry. The
    phase exp(−2πi ij / rows) that the spreading leaves is known, and taken out by the complex `output_gain`.

    Full scale is `headroom` times a bound by the Cauchy-Schwarz inequality, lenses.peak · max_i ‖a_i‖ ·
    max_j ‖b_j‖ of rows and columns, which electronics knows. A matrix that several products share is written
    once and held, with one draw of its modulator.

    Arguments:
        lenses: `CrossedLenses` (full wave optics), `compile_crossed(lenses)`, or `ExactProduct(shape)`.
        measurement: light -> frames -> field.
        slm_a, slm_b: effects on the elements of the modulators, on amplitudes in units of the brightest.
        camera: effects on the frames.
        input_gain: on the elements of a along k before they are written, real, scalar or (k,).
        output_gain: on the result, scalar or (m, n), real or complex; `with_fitted_gains()` sets both.
        headroom: full scale over the brightest possible field, at least 1.

    Raises:
        ValueError: `lenses` of another kind, gains not finite or of another shape, `headroom` below 1, or an
            effect where it has no meaning.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> lenses = optics.CrossedLenses((3, 3, 3), pitch=20e-6, wavelength=532e-9, width=6)
        >>> device = optics.MatrixMatrixMultiplier(optics.compile_crossed(lenses)).with_fitted_gains()
        >>> optics.matmul(jnp.eye(3), jnp.ones((3, 3)), device).round().tolist()[0]
        [1.0, 1.0, 1.0]

    Source: Y. Zhang et al., Direct tensor processing with coherent light, Nature Photonics 20, 102 (2026).
    """

    lenses: AbstractBilinear
    measurement: AbstractMeasurement
    slm_a: tuple[Effect, ...]
    slm_b: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    input_gain: Array
    output_gain: Array
    headroom: Array

    def __init__(
        self,
        lenses: PartLike,
        measurement: MeasurementLike = None,
        slm_a: EffectsLike = (),
        slm_b: EffectsLike = (),
        camera: EffectsLike = (),
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        headroom: ScalarLike = 1.05,
    ):
        measurement = Coherent() if measurement is None else measurement
        check_instance("lenses", lenses, AbstractBilinear, "`optics.compile_crossed(lenses)`")
        check_measurement(measurement)
        check_modulator("slm_a", slm_a)
        check_modulator("slm_b", slm_b)
        check_camera("camera", camera, measurement)
        m, k, n = lenses.shape
        self.lenses, self.measurement = lenses, measurement
        self.slm_a, self.slm_b, self.camera = tuple(slm_a), tuple(slm_b), tuple(camera)
        self.input_gain, self.output_gain = as_gains(input_gain, (k,), output_gain, (m, n))
        self.headroom = as_headroom(headroom)

    @property
    def shape(self) -> tuple[int, int]:
        """Elements (rows, columns) of the second modulator, (k, n)."""
        return self.lenses.shape[1:]

    @property
    def product_shape(self) -> tuple[int, int, int]:
        """(m, k, n) of one exposure."""
        return self.lenses.shape

    def with_fitted_gains(self) -> "MatrixMatrixMultiplier":
        """The device with the gains that bring its optics closest to the product, without noise."""
        gains = fit_gains(self.lenses)
        return eqx.tree_at(lambda device: (device.input_gain, device.output_gain), self, gains)

    @as_one_program
    def prepare(self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]) -> ProductExposure:
        """Set the electronics for two matrices: the drives, full scale and scale.

        Arguments:
            a, b: numbers, shapes (..., m, k) and (..., k, n) of `product_shape`, real or complex, any units.

        Returns:
            `ProductExposure`.
        """
        drive_a, scale_a = encode_amplitude(a * self.input_gain, self.slm_a)
        drive_b, scale_b = encode_amplitude(b, self.slm_b)
        light = (apply(slm, drive, None) for slm, drive in ((self.slm_a, drive_a), (self.slm_b, drive_b)))
        row, col = (
            jnp.sqrt(
                jnp.max(jnp.sum(jnp.abs(jax.lax.stop_gradient(light)) ** 2, axis, keepdims=True), (-2, -1))
            )
            for light, axis in zip(light, (-1, -2), strict=True)
        )
        bound = (self.lenses.peak * row * col)[..., None, None]
        return ProductExposure((drive_a, drive_b), full_scale_of(bound, self.headroom), scale_a * scale_b)

    @as_one_program
    def expose(self, exposure: ProductExposure, key: Array | None = None) -> Float[Array, "*lead frames m n"]:
        """The frames that the camera gives of an exposure.

        Arguments:
            exposure: as `prepare` sets it; its `scale` does not matter here.
            key: of the noise, consumed; None gives frames without noise.

        Returns:
            frames in units of full scale, shape (..., frames, m, n): the elements of the product.
        """
        a_key, b_key, camera_key = split_key(key, 3)
        drive_a, drive_b = exposure.drive

        def propagate(_, a_key, b_key):
            field = self.lenses(apply(self.slm_a, drive_a, a_key), apply(self.slm_b, drive_b, b_key))
            power = draw_laser_power(self.slm_a, drive_a, a_key)
            return field[..., None, :, :] + 0j, None if power is None else power[..., None, :, :]

        # One exposure, which has an axis of its own while its frames are formed.
        shape, full_scale = self.lenses.shape[::2], exposure.full_scale[..., None, :, :]
        frames = form_frames(self.measurement, (), propagate, full_scale, (a_key, b_key), shape, real=False)
        return apply(self.camera, frames[..., 0, :, :, :], camera_key)

    @as_one_program
    def reconstruct(
        self, frames: Float[Array, "*lead frames m n"], exposure: ProductExposure, real: bool = False
    ) -> Inexact[Array, "*lead m n"]:
        """The product from its frames.

        Arguments:
            frames: as `expose` gives them.
            exposure: that the frames were taken with.
            real: the product is known to be real.

        Returns:
            shape (..., m, n), in the product of the units of both matrices.
        """
        field = self.measurement.field(frames) * exposure.full_scale
        # A measurement that sees no phase gives the modulus of the product.
        gain = self.output_gain if jnp.iscomplexobj(field) else jnp.abs(self.output_gain)
        result = field * gain * exposure.scale
        return result.real if real else result

    @as_one_program
    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """One exposure for each pair of matrices.

        Arguments, result and errors: those of `AbstractDevice.matmul`.
        """
        check_product(a, b, self)
        (rows, inner, cols), m, n = self.lenses.shape, a.shape[-2], b.shape[-1]
        exposure = self.prepare(pad_matrix(a, rows, inner), pad_matrix(b, inner, cols))
        real = not (jnp.iscomplexobj(a) or jnp.iscomplexobj(b))
        result = self.reconstruct(self.expose(exposure, key), exposure, real)[..., :m, :n]
        return zero_where_no_light(result, jnp.any(a != 0, (-2, -1)) & jnp.any(b != 0, (-2, -1)))

    def stages(self) -> tuple[Stage, ...]:
        """Both modulators and the camera."""
        return (
            Stage("slm_a", self.slm_a, is_modulator=True),
            Stage("slm_b", self.slm_b, is_modulator=True),
            Stage(
                "camera", self.camera, is_modulator=False, single_exposure=self.measurement.single_exposure
            ),
        )
