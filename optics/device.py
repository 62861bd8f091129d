"""Devices: encode, propagate, detect, retrieve. Each kind has one method `convolve`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from optics import encode
from optics._check import finite, fits, leaf, number, positive
from optics.detect import Coherent
from optics.effects import Effect, Modulation, Noise, apply


class FourierProcessor(eqx.Module):
    """A Fourier engine: one optical transform at a time, the product of two spectra in electronics.

        frames = camera(measurement.frames(optics(slm(encode(pre · a))) / reach))
        transform = post · reach · scale · measurement.field(frames)

    `reach` is the exposure: before each frame the light is set so that full scale is `headroom` times the brightest field
    that the modulator, as it is known to be driven, could give at any pixel. By the triangle inequality that is
    headroom · peak · Σ|slm(drive)|: the signal never saturates, the headroom is for noise, and noise given per full scale
    means the same at every exposure. Like the scale of the encoder it is a setting, through which no gradient flows.

    Arguments:
        optics: `Dense` (compiled) or `FourierLens` (full wave optics): light -> light, pixels around the axis.
        measurement: `Coherent()`, `PhaseShifting(4)`, …: light -> frames -> field.
        slm: effects on the modulator, on amplitudes in units of the brightest pixel.
        camera: effects on the detector, on frames in units of full scale.
        pre, post: calibrated real gains on the numbers before and after, scalar or (rows, columns), dimensionless; a
            phase belongs in the optics.
        peak: how bright one modulator pixel can make one detector pixel; by default `optics.peak`.
        headroom: full scale over the brightest possible field, at least 1.
        encoder: numbers -> (drive, scale).

    Raises:
        ValueError: `peak` not positive, `headroom` below 1, gains that are complex, not finite or not of the shape of the
            optics, a measurement without `frames` and `field`, or an effect where it has no meaning.
    """

    optics: Callable
    measurement: eqx.Module
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    pre: Array
    post: Array
    peak: Array
    headroom: Array
    encoder: Callable = eqx.field(static=True)

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
        encoder: Callable = encode.complex_amplitude,
    ):
        measurement = Coherent() if measurement is None else measurement
        if isinstance(measurement, type) or not hasattr(measurement, "frames"):
            raise ValueError(f"`measurement` must be one, such as `optics.Coherent()`, got {measurement!r}.")
        _refuse_effects("slm", slm, True, "amplitudes are signed, and this noise is of detectors")
        _refuse_effects(
            "camera",
            camera,
            measurement.signed,
            f"the frames of {type(measurement).__name__} are {'' if measurement.signed else 'not '}signed",
        )
        self.optics, self.measurement = optics, measurement
        self.slm, self.camera = tuple(slm), tuple(camera)
        self.pre, self.post = leaf(pre), leaf(post)
        self.peak = leaf(optics.peak if peak is None else peak)
        self.headroom = leaf(headroom)
        self.encoder = encoder

    def __check_init__(self):
        positive("peak", self.peak)
        number("headroom", self.headroom, 1.0, math.inf)
        for name in ("pre", "post"):
            gain = getattr(self, name)
            if jnp.iscomplexobj(gain):
                raise ValueError(
                    f"`{name}` must be real, got {gain.dtype}; a phase belongs in the optics, where one quadrature can be detected."
                )
            finite(name, gain)
            shape = gain.shape
            if shape not in ((), self.shape):
                raise ValueError(f"`{name}` must be a scalar or have the shape {self.shape} of the optics, got {shape}.")

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
        fits("a", a, self)
        on_slm, on_camera = (None, None) if key is None else jax.random.split(key)
        drive, scale = self.encoder(a * self.pre)
        known = jax.lax.stop_gradient(jnp.abs(apply(self.slm, drive, None)))
        reach = jax.lax.stop_gradient(self.headroom * self.peak) * jnp.sum(known, axis=(-2, -1), keepdims=True)
        reach = jnp.where(reach > 0, reach, 1)
        light = apply(self.slm, drive, on_slm)
        field = self.optics(light, in_phase=real and self.measurement.one_quadrature)
        frames = apply(self.camera, self.measurement.frames(field / reach), on_camera)
        found = self.measurement.field(frames) * (self.post * reach * scale)
        return found.real if real else found

    def convolve(
        self, x: Inexact[Array, "*xlead rows cols"], w: Inexact[Array, "*wlead rows cols"], key: Array | None = None
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: two forward transforms, a product, and one back.

        The lens only transforms forwards; the way back is F⁻¹ P = conj(F conj P), a modulator setting.

        Arguments:
            x, w: shapes (..., rows, columns), leading axes broadcast as in x * w.
            key: of the shots, consumed; None gives the expected value.

        Returns:
            shape of x * w, real when both are.
        """
        of_x, of_w, of_y = (None,) * 3 if key is None else jax.random.split(key, 3)
        real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
        product = _computed_once(self.transform(x, of_x)) * _computed_once(self.transform(w, of_w))
        y = self.transform(jnp.conj(product), of_y, real=real)
        # Unitary transforms: F(x * w) = √(pixels) F x · F w.
        return math.sqrt(math.prod(self.shape)) * (y if real else jnp.conj(y))


def _refuse_effects(name: str, chain: Any, signed: bool, why: str) -> None:
    """Refuse what is no effect, and effects on intensities where values are signed or the other way round."""
    if not isinstance(chain, Sequence):
        raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {chain!r}.")
    for effect in chain:
        if not isinstance(effect, Effect):
            raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {effect!r} in it.")
        if name == "camera" and isinstance(effect, Modulation):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: it acts on light as it leaves a modulator.")
        if effect.signed not in (None, signed) or (name == "slm" and isinstance(effect, Noise)):
            raise ValueError(f"`{name}` cannot hold {type(effect).__name__}: {why}.")


def _computed_once(spectrum: Complex[Array, "*lead rows cols"]) -> Complex[Array, "*lead rows cols"]:
    """The same numbers, through a product with the identity.

    XLA on CPU fuses the detection of a spectrum, noise included, into what uses it, and so computes it again for every
    kernel that the spectrum meets: three times the cost of a whole training step. Nothing is fused across a product
    of matrices, and this one costs a few per cent.
    """
    flat = spectrum.reshape(*spectrum.shape[:-2], -1)
    identity = jnp.eye(flat.shape[-1], dtype=flat.real.dtype)
    real, imaginary = (jnp.matmul(part, identity, precision="highest") for part in (flat.real, flat.imag))
    return jax.lax.complex(real, imaginary).reshape(spectrum.shape)
