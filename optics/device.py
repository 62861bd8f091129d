"""Devices: encode, propagate, detect, retrieve. Each kind has one method `convolve`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Inexact

from optics import encode
from optics._check import leaf, positive
from optics.detect import Coherent
from optics.effects import Effect, apply


class FourierProcessor(eqx.Module):
    """A Fourier engine: one optical transform at a time, the product of two spectra in electronics.

        frames = camera(measurement.frames(optics(slm(encode(pre · a))) / reach))
        transform = post · reach · scale · measurement.field(frames)

    `reach` is the exposure: before each frame the light is set so that the brightest field which the known drive
    could give at any pixel is full scale. By the triangle inequality that is peak · Σ|drive|, so nothing in range
    is ever clipped, and noise given per full scale means the same at every exposure.

    Arguments:
        optics: `Dense` (compiled) or `FourierLens` (full wave optics): light -> light, pixels around the axis.
        measurement: `Coherent()`, `PhaseShifting(4)`, …: light -> frames -> field.
        slm: effects on the modulator, on amplitudes in units of the brightest pixel.
        camera: effects on the detector, on frames in units of full scale.
        pre, post: calibrated gains on the numbers before and after, scalar or (rows, columns), dimensionless.
        peak: how bright one modulator pixel can make one detector pixel; by default `optics.peak`.
        encoder: numbers -> (drive, scale).

    Raises:
        ValueError: `peak` not positive, gains that do not have the shape of the optics, or what is no effect in a chain.
    """

    optics: Callable
    measurement: eqx.Module
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    pre: Array
    post: Array
    peak: Array
    encoder: Callable = eqx.field(static=True)

    def __init__(
        self,
        optics: Callable,
        measurement: eqx.Module | None = None,
        slm: Sequence[Any] = (),
        camera: Sequence[Any] = (),
        pre: Any = 1.0,
        post: Any = 1.0,
        peak: Any = None,
        encoder: Callable = encode.complex_amplitude,
    ):
        for name, chain in (("slm", slm), ("camera", camera)):
            for effect in chain:
                if not isinstance(effect, Effect):
                    raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {effect!r} in it.")
        self.optics = optics
        self.measurement = Coherent() if measurement is None else measurement
        self.slm, self.camera = tuple(slm), tuple(camera)
        self.pre, self.post = leaf(pre), leaf(post)
        self.peak = leaf(optics.peak if peak is None else peak)
        self.encoder = encoder

    def __check_init__(self):
        positive("peak", self.peak)
        for name in ("pre", "post"):
            shape = getattr(self, name).shape
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
        on_slm, on_camera = (None, None) if key is None else jax.random.split(key)
        drive, scale = self.encoder(a * self.pre)
        known = jax.lax.stop_gradient(drive)
        reach = jax.lax.stop_gradient(self.peak) * jnp.sum(jnp.abs(known), axis=(-2, -1), keepdims=True)
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
