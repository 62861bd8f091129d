"""The Fourier engine: one optical transform at a time."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_positive, check_range, check_shape
from optics._fusion import fusion_barrier
from optics.detect import Coherent
from optics.device._exposure import (
    check_camera,
    check_gain,
    check_measurement,
    check_modulator,
    exposed,
    lit,
    modulated,
)
from optics.effects import Effect, apply
from optics.encode import ComplexAmplitude, Encoder, complex_amplitude
from optics.transfer import Dense


class FourierProcessor(eqx.Module):
    """A Fourier engine: one optical transform at a time; the product of two spectra in electronics, or in light.

        frames = camera(measurement.frames(optics(slm(encode(pre · a))) / reach))
        transform = post · scale · (combine(reach · measurement.field(frames)) − background)

    `reach` is the exposure: before each frame the light is set so that full scale is `headroom` times the brightest field
    that the modulator, as it is known to be driven, could give at any pixel. By the triangle inequality that is
    headroom · peak · Σ|slm(drive)|: the signal never saturates, the headroom is for noise, and noise given per full scale
    means the same at every exposure. Like the scale of the encoder it is a setting, through which no gradient flows.

    Arguments:
        optics: `Dense`, `Separable` (compiled) or `FourierLens` (full wave optics): light -> light, pixels around the axis.
        measurement: `Coherent()`, `PhaseShifting(4)`, …: light -> frames -> field.
        slm: effects on the modulator, on amplitudes in units of the brightest pixel.
        camera: effects on the detector, on frames in units of full scale.
        pre, post: calibrated gains on the numbers before and after, scalar or (rows, columns), real or complex,
            dimensionless; `pre` may be a `Dense` map instead, which undoes what gains cannot. A complex `post` needs both
            quadratures of every field, also of one known to be real.
        background: field of the light that nothing modulates (gaps, leaks), as `subtract_background` measures it with all
            numbers 0, scalar or (rows, columns), in units of a modulator pixel's amplitude.
        peak: how bright one modulator pixel can make one detector pixel; by default `optics.peak`.
        headroom: full scale over the brightest possible field, at least 1.
        encoder: numbers -> light, from `optics.encode`.
        multiplier: effects of a second modulator, behind the lens, on which the spectrum of `w` is shown: the product of
            two spectra is then made by light and detected once. By default None: the product is made in electronics.

    Raises:
        ValueError: `peak` not positive, `headroom` below 1, gains that are not finite or not of the shape of the optics, a
            measurement without `frames` and `field`, light that the optics does not take, or an effect where it has no
            meaning.
    """

    optics: Callable
    measurement: eqx.Module
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    pre: Array | Dense
    post: Array
    background: Array
    peak: Array
    headroom: Array
    encoder: Encoder
    multiplier: tuple[Effect, ...] | None

    def __init__(
        self,
        optics: Callable,
        measurement: Any = None,
        slm: Any = (),
        camera: Any = (),
        pre: Any = 1.0,
        post: Any = 1.0,
        peak: Any = None,
        headroom: Any = 1.05,
        encoder: Any = None,
        multiplier: Any = None,
        background: Any = 0.0,
    ):
        measurement = Coherent() if measurement is None else measurement
        encoder = ComplexAmplitude() if encoder is None else encoder
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_camera("camera", camera, measurement)
        if not isinstance(encoder, Encoder):
            raise ValueError(
                f"`encoder` must be one, such as `optics.encode.ComplexAmplitude()`, got {encoder!r}."
            )
        if multiplier is not None:
            check_modulator("multiplier", multiplier)
        self.optics, self.measurement, self.encoder = optics, measurement, encoder
        self.slm, self.camera = tuple(slm), tuple(camera)
        self.multiplier = None if multiplier is None else tuple(multiplier)
        self.pre, self.post = pre if isinstance(pre, Dense) else as_leaf(pre), as_leaf(post)
        self.background = as_leaf(background)
        self.peak = as_leaf(optics.peak if peak is None else peak)
        self.headroom = as_leaf(headroom)

    def __check_init__(self):
        check_positive("peak", self.peak)
        check_range("headroom", self.headroom, 1.0, math.inf)
        for name in ("pre", "post", "background"):
            gain = getattr(self, name)
            if isinstance(gain, Dense):
                if gain.shape != self.shape:
                    raise ValueError(
                        f"`{name}` must have the shape {self.shape} of the optics, got {gain.shape}."
                    )
                continue
            check_gain(name, gain, self.shape)
        # Shapes alone: light that the optics does not take is refused here and not at the first call.
        jax.eval_shape(
            lambda device: lit(device.encoder, device.slm, device.optics, jnp.zeros(device.shape), None), self
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of modulator and detector."""
        return self.optics.shape

    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One optical Fourier transform, unitary scaling, origin at pixel n//2.

        Arguments:
            a: numbers, shape (..., rows, columns), real or complex, any unit.
            key: of the shots, consumed; None gives the expected value.
            real: the result is known to be real, so detect that part only.

        Returns:
            field, same shape and unit, complex unless `real`.
        """
        return self._exposures(a, None, key, real)

    def unmodulated(self) -> Complex[Array, "rows cols"]:
        """The field at the detector while all numbers are 0, shape (rows, columns), as the long average of a bench would give it."""
        light, _, _ = lit(self.encoder, self.slm, self.optics, jnp.zeros(self.shape), None)
        return self.encoder.combine(self.optics(light)) + 0j

    def shown(
        self, a: Inexact[Array, "*lead rows cols"]
    ) -> tuple[
        Inexact[Array, "*lead frames driverows drivecols"],
        Float[Array, "*lead frames 1 1"],
        Float[Array, "*lead 1 1"],
    ]:
        """What the electronics set for numbers: the drive of the modulator, the exposure and the scale of the numbers."""
        compensated = self.pre(a) if isinstance(self.pre, Dense) else a * self.pre
        drive, scale = self.encoder.encode(compensated)
        known = jax.lax.stop_gradient(jnp.abs(modulated(self.encoder, self.slm, self.optics, drive, None)))
        return drive, exposed(self.peak * jnp.sum(known, axis=(-2, -1), keepdims=True), self.headroom), scale

    def frames(
        self,
        drive: Inexact[Array, "*lead frames driverows drivecols"],
        reach: Float[Array, "*lead frames 1 1"],
        key: Array | None = None,
        real: bool = False,
        through: Inexact[Array, "*tlead rows cols"] | None = None,
    ) -> Float[Array, "*out frames shots camerarows cameracols"]:
        """What the camera gives for a drive and an exposure, in units of full scale; `through` is what a second modulator shows."""
        on_slm, on_camera = (None, None) if key is None else jax.random.split(key)
        field = self.optics(
            modulated(self.encoder, self.slm, self.optics, drive, on_slm), in_phase=self._one_quadrature(real)
        )
        if through is not None:
            on_multiplier = None if key is None else jax.random.fold_in(on_slm, len(self.slm))
            field = field * apply(self.multiplier, through, on_multiplier)[..., None, :, :]
        return apply(self.camera, self.measurement.frames(field / reach), on_camera)

    def read(
        self,
        frames: Float[Array, "*lead frames shots camerarows cameracols"],
        reach: Float[Array, "*rlead frames 1 1"],
        scale: Float[Array, "*slead 1 1"],
        real: bool = False,
        through: Inexact[Array, "*tlead rows cols"] | None = None,
    ) -> Inexact[Array, "*out rows cols"]:
        """The transform from frames, with the exposure and the scale that `shown` gave."""
        seen = self.encoder.combine(self.measurement.field(frames) * reach)
        # Where a second modulator stands in the way, it dims this light as well.
        background = self.background if through is None else self.background * through
        seen = seen - (background if jnp.iscomplexobj(seen) else background.real)
        found = seen * (self.post * scale)
        return found.real if real else found

    def _one_quadrature(self, real: bool) -> bool:
        return (
            real
            and self.measurement.one_quadrature
            and self.encoder.in_phase
            and not jnp.iscomplexobj(self.post)
        )

    def _exposures(
        self,
        a: Inexact[Array, "*lead rows cols"],
        spectrum: Complex[Array, "*slead rows cols"] | None,
        key: Array | None,
        real: bool,
    ) -> Inexact[Array, "*out rows cols"]:
        """The transform, seen through a second modulator that shows `spectrum`, where one is given."""
        check_shape("a", a, self)
        drive, reach, scale = self.shown(a)
        through = None
        if spectrum is not None:
            through, of_spectrum = complex_amplitude(spectrum)
            scale = scale * of_spectrum
        return self.read(self.frames(drive, reach, key, real, through), reach, scale, real, through)

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: two forward transforms, a product, and one back.

        The lens only transforms forwards; the way back is F⁻¹ P = conj(F conj P), a modulator setting.

        Arguments:
            x, w: shapes (..., rows, columns), leading axes broadcast as in x * w.
            key: of the shots, consumed; None gives the expected value.

        Returns:
            shape of x * w, real when both are.
        """
        if self.multiplier is None:
            return convolved(self.transform, x, w, key)
        return convolved(
            self.transform, x, w, key, lambda x, spectrum, key: self._exposures(x, spectrum, key, False)
        )


def convolved(
    transform: Callable,
    x: Inexact[Array, "*xlead rows cols"],
    w: Inexact[Array, "*wlead rows cols"],
    key: Array | None,
    product: Callable | None = None,
) -> Inexact[Array, "*lead rows cols"]:
    """A convolution from transforms: both forward, their product in electronics or by `product`(x, spectrum, key), and one back."""
    of_x, of_w, of_y = (None,) * 3 if key is None else jax.random.split(key, 3)
    real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
    spectrum = fusion_barrier(transform(w, of_w))
    both = fusion_barrier(transform(x, of_x)) * spectrum if product is None else product(x, spectrum, of_x)
    y = transform(jnp.conj(both), of_y, real=real)
    # Unitary transforms: F(x * w) = √(pixels) F x · F w.
    return math.sqrt(math.prod(x.shape[-2:])) * (y if real else jnp.conj(y))
