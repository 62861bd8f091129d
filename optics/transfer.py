"""The optics, described (`FourierLens`) and compiled to a linear map (`Dense`)."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Inexact

from optics import wave
from optics._check import concrete, leaf, number, positive, whole


class Dense(eqx.Module):
    """A compiled transfer: every detector pixel as a weighted sum of every modulator pixel.

        out_m = Σ_n matrix[m, n] · in_n

    Arguments:
        matrix: complex, shape (rows·columns, rows·columns), pixels in row-major order, dimensionless.
        shape: pixels (rows, columns) of both planes.

    Raises:
        ValueError: `matrix` does not have rows·columns rows and columns.
    """

    matrix: Complex[Array, "out in"]
    shape: tuple[int, int] = eqx.field(static=True, converter=tuple)

    def __check_init__(self):
        size = self.shape[0] * self.shape[1]
        if np.shape(self.matrix) != (size, size):
            raise ValueError(
                f"`matrix` must have shape {(size, size)} for {self.shape[0]}×{self.shape[1]} pixels, got {np.shape(self.matrix)}."
            )

    @property
    def peak(self) -> Array:
        """The largest |matrix[m, n]|: how bright one modulator pixel can make one detector pixel."""
        return jnp.max(jnp.abs(self.matrix))

    def __call__(self, light: Inexact[Array, "*lead rows cols"], in_phase: bool = False) -> Inexact[Array, "*lead rows cols"]:
        """The field at the detector, shape (..., rows, columns).

        Arguments:
            light: field at the modulator, shape (..., rows, columns), real or complex.
            in_phase: return the real part alone, at half the cost.
        """
        flat = light.reshape(*light.shape[:-2], -1)
        real, imaginary = self.matrix.real.T, self.matrix.imag.T
        # Real products: a complex one would compute the parts that a real input or output throws away.
        dot = partial(jnp.matmul, precision="highest")
        if jnp.iscomplexobj(light):
            out = dot(flat.real, real) - dot(flat.imag, imaginary)
            other = None if in_phase else dot(flat.real, imaginary) + dot(flat.imag, real)
        else:
            out = dot(flat, real)
            other = None if in_phase else dot(flat, imaginary)
        return (out if other is None else jax.lax.complex(out, other)).reshape(light.shape)


def dft(shape: int | tuple[int, int]) -> Dense:
    """The exact transform as a transfer: the unitary discrete Fourier transform with its origin at pixel n//2.

        out[m] = 1/√(rows·columns) Σ_n exp(−2πi (m_y n_y / rows + m_x n_x / columns)) in[n]

    Arguments:
        shape: pixels (rows, columns), or one number for a square.

    Returns:
        `Dense` of rows·columns squared entries.

    Raises:
        ValueError: `shape` is not one or two whole numbers of at least 1.
    """
    rows, cols = pixel_shape(shape)

    def line(n):
        # The product is reduced modulo n as integers: the angle is then exact however long the line.
        k = np.arange(n) - n // 2
        return np.exp(-2j * np.pi * (np.outer(k, k) % n) / n) / np.sqrt(n)

    return Dense(jnp.asarray(np.kron(line(rows), line(cols)), dtype=jnp.result_type(complex)), (rows, cols))


def pixel_shape(shape: Any, name: str = "shape") -> tuple[int, int]:
    """One whole number or a pair, as the pair (rows, columns); anything else is refused by `name`."""
    pair = (shape, shape) if isinstance(shape, int | np.integer) and not isinstance(shape, bool) else shape
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"`{name}` must be one whole number or a pair (rows, columns), got {shape!r}.")
    for value in pair:
        whole(name, value, 1)
    return int(pair[0]), int(pair[1])


class FourierLens(eqx.Module):
    """A 2f system, propagated in full: modulator, free space f, thin lens with a pupil, free space f, detector.

    A modulator pixel of amplitude 1 sends power 1 through its open square (the integral of its amplitude is exact; where
    an edge cuts a sample, the sampled power is a little less), and a detector pixel gives the amplitude of its own
    square mode, so that the map between them is at most unitary. With λ f / (pixels · pitch) = pitch it
    is the discrete Fourier transform, dimmed by the two fill factors and shaded by their sinc envelopes. The
    constant phase −i of a lens transform is left out like the piston: it is where the receivers' reference is set.

    Called with light of shape (..., pixels, pixels) it gives the field at the detector, same shape, as `Dense` does.

    Arguments:
        pixels: N, pixels a side of modulator and detector.
        pitch: m, of both.
        wavelength: m.
        focal_length: m; by default N · pitch² / λ, which makes the pitches match.
        fill: linear fill factor of the modulator pixel (emitter), in (0, 1].
        detector_fill: linear fill factor of the detector pixel (receiver), in (0, 1].
        pupil_radius: of the lens, m; by default 2.5 · N · pitch.
        oversampling: samples per pixel.
        plane: samples a side of the computed plane; by default N · oversampling², the critical sampling of both the
            transfer function and the lens when the pitches match.

    Raises:
        ValueError: a length that is not positive, a fill outside (0, 1], a pupil larger than the plane or than the
            lens is sampled well, or a plane too small for the distance.

    Source: Goodman (2005), section 5.2.2.
    """

    pixels: int = eqx.field(static=True)
    pitch: Array = eqx.field(converter=leaf)
    wavelength: Array = eqx.field(converter=leaf)
    focal_length: Array = eqx.field(converter=leaf)
    fill: Array = eqx.field(converter=leaf)
    detector_fill: Array = eqx.field(converter=leaf)
    pupil_radius: Array = eqx.field(converter=leaf)
    oversampling: int = eqx.field(static=True)
    plane: int = eqx.field(static=True)

    def __init__(
        self, pixels, pitch, wavelength, focal_length=None, fill=1.0, detector_fill=1.0, pupil_radius=None, oversampling=8, plane=None
    ):
        whole("pixels", pixels, 1)
        whole("oversampling", oversampling, 2)
        positive("pitch", pitch, "m")
        positive("wavelength", wavelength, "m")
        self.pixels, self.oversampling = int(pixels), int(oversampling)
        self.pitch, self.wavelength, self.fill, self.detector_fill = pitch, wavelength, fill, detector_fill
        self.focal_length = pixels * pitch**2 / wavelength if focal_length is None else focal_length
        self.pupil_radius = 2.5 * pixels * pitch if pupil_radius is None else pupil_radius
        self.plane = pixels * oversampling**2 if plane is None else plane

    def __check_init__(self):
        positive("focal_length", self.focal_length, "m")
        positive("pupil_radius", self.pupil_radius, "m")
        number("fill", self.fill, 0.0, 1.0, open_low=True)
        number("detector_fill", self.detector_fill, 0.0, 1.0, open_low=True)
        whole("plane", self.plane, self.pixels * self.oversampling)
        numbers = self.pitch, self.wavelength, self.focal_length, self.pupil_radius
        if not all(map(concrete, numbers)) or any(np.ndim(v) for v in numbers):
            return
        pitch, wavelength, focal_length, radius = (float(v) for v in numbers)
        dx = pitch / self.oversampling
        slack = 1 + 1e-5  # the default plane is exactly critical; float32 must not tip it over
        half, sampled = self.plane * dx / 2, wavelength * focal_length / (2 * dx)
        if radius > min(half, sampled) * slack:
            what = "the computed plane's half width" if half <= sampled else "the radius where the lens phase is sampled well"
            raise ValueError(
                f"`pupil_radius` {radius:g} m is larger than {what}, {min(half, sampled):g} m; "
                f"reduce it, or raise `oversampling` (now {self.oversampling})."
            )
        needed = wavelength * focal_length / dx**2
        if needed > self.plane * slack:
            raise ValueError(
                f"`plane` of {self.plane} samples is too small to propagate over {focal_length:g} m without aliasing: "
                f"it needs λ f / dx² = {int(np.ceil(needed))} samples; set `plane={int(np.ceil(needed))}` or reduce `oversampling`."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of both planes."""
        return self.pixels, self.pixels

    @property
    def peak(self) -> Array:
        """How bright one modulator pixel can make one detector pixel, paraxially: both open areas over λ f (a pupil adds up to 1 %)."""
        return self.fill * self.detector_fill * self.pitch**2 / (self.wavelength * self.focal_length)

    def __call__(self, light: Inexact[Array, "*lead rows cols"], in_phase: bool = False) -> Inexact[Array, "*lead rows cols"]:
        """The field at the detector by full propagation: arguments and result as those of `Dense`."""
        emitters, receivers = _modes(self)
        # "highest": a GPU would otherwise round the factors to ten bits.
        dot = partial(jnp.matmul, precision="highest")
        field = dot(dot(emitters, light), emitters.T)
        field = _propagate(self, _propagate(self, field) * _lens(self))
        out = 1j * dot(dot(receivers.T, field), receivers)
        return out.real if in_phase else out


def _modes(lens: FourierLens) -> tuple[Array, Array]:
    """Emitter and receiver modes on a line, shape (plane, pixels): power 1 a pixel, amplitude of the mode."""
    emitter, receiver = (wave.pixels(lens.plane, lens.pixels, lens.oversampling, f) for f in (lens.fill, lens.detector_fill))
    # In units of the sample spacing, which cancels between the density of the emitter and the integral of the receiver.
    return emitter / jnp.sqrt(lens.fill * lens.oversampling), receiver / jnp.sqrt(lens.detector_fill * lens.oversampling)


def _propagate(lens: FourierLens, field: Array) -> Array:
    return wave.angular_spectrum(field, lens.pitch / lens.oversampling, lens.wavelength, lens.focal_length)


def _lens(lens: FourierLens) -> Array:
    shape, dx = (lens.plane, lens.plane), lens.pitch / lens.oversampling
    return wave.lens(shape, dx, lens.wavelength, lens.focal_length) * wave.aperture(shape, dx, lens.pupil_radius)


def compile_transfer(lens: FourierLens) -> Dense:
    """Run the wave optics once and keep the map from modulator pixels to detector pixels.

        matrix[m, n] = Σ_r g(r − r_m) · L(r) · h(r − r_n)

    with h what one modulator pixel throws onto the lens plane, g the same for a detector pixel (propagation is
    reciprocal) and L the lens in its pupil. Free space is shift invariant, so two propagations serve all pixels and
    the result is exact, not an approximation: it equals `lens(light)`. It is an ordinary differentiable function of
    the lens's numbers.

    Arguments:
        lens: the optics.

    Returns:
        `Dense` with N² × N² entries.
    """
    # Outside the pupil nothing passes; its box is only known as a number when the radius is one.
    half = lens.plane // 2
    if concrete(lens.pupil_radius) and concrete(lens.pitch):
        half = min(half, int(np.ceil(float(lens.pupil_radius / lens.pitch) * lens.oversampling)) + 1)
    return Dense(_overlaps(lens, half), lens.shape)


@partial(jax.jit, static_argnames="half")
def _overlaps(lens: FourierLens, half: int) -> Array:
    n, m, s = lens.pixels, lens.plane, lens.oversampling
    modes = [jnp.outer(line[:, n // 2], line[:, n // 2]) for line in _modes(lens)]
    thrown, seen = (_propagate(lens, mode.astype(jnp.result_type(complex))) for mode in modes)
    window = m // 2 + jnp.arange(-half, min(half, m - m // 2 - 1) + 1)
    shifts = s * (jnp.arange(n) - n // 2)
    cols = (window[None, :] - shifts[:, None]) % m  # (pixel, sample)
    transmission = _lens(lens)[window][:, window]
    # (line, pixel column, sample): each line of the plane as every column of pixels casts it.
    thrown, seen = (field[:, cols] for field in (thrown, seen))

    @jax.checkpoint
    def add_line(total, inputs):
        line, through = inputs
        rows = (line - shifts) % m
        h, g = (field[rows].reshape(n * n, -1) for field in (thrown, seen))
        return total + jnp.matmul(g * through, h.T, precision="highest"), None

    start = jnp.zeros((n * n, n * n), transmission.dtype)
    return 1j * jax.lax.scan(add_line, start, (window, transmission))[0]
