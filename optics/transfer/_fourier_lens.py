"""The optics, described: a 2f system with its pixels, lens, pupil and errors."""

import math
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics import wave
from optics._check import as_leaf, check_finite, check_positive, check_range, check_whole, is_concrete
from optics.transfer._dense import pixel_shape


class FourierLens(eqx.Module):
    """A 2f system, propagated in full: modulator, free space f, thin lens with a pupil, free space f, detector.

    A modulator pixel of amplitude 1 sends power 1 through its open square (the integral of its amplitude is exact; where
    an edge cuts a sample, the sampled power is a little less), and a detector pixel gives the amplitude of its own
    square mode, so that the map between them is at most unitary. With λ f / (pixels · pitch) = pitch it
    is the discrete Fourier transform, dimmed by the two fill factors and shaded by their sinc envelopes. The
    constant phase −i of a lens transform is left out like the piston: it is where the receivers' reference is set.

    With one row or one column of pixels the optics is one-dimensional: a cylindrical lens, a slit for a pupil, light
    that does not spread along the other axis (a slab waveguide, or collimation); the phase left out is exp(−iπ/4).

    Called with light of shape (..., rows · subpixels, columns · subpixels) it gives the field at the detector, shape
    (..., rows, columns), as `Dense` does.

    Arguments:
        pixels: N, pixels a side of modulator and detector; (1, N) or (N, 1) for one-dimensional optics.
        pitch: m, of both.
        wavelength: m.
        focal_length: m; by default N · pitch² / λ, which makes the pitches match.
        fill: linear fill factor of the modulator pixel (emitter; of a sub-pixel where there are some), in (0, 1].
        detector_fill: linear fill factor of the detector pixel (receiver), in (0, 1].
        pupil_radius: of the lens, m; by default 2.5 · N · pitch.
        profile: phase of the lens, a function of (shape, dx, wavelength, focal_length, centre=...), such as `wave.lens`
            (paraxial), `wave.spherical_lens` or an aspheric one. A Fourier lens puts a beam at the sine of its angle:
            under propagation without approximation the paraxial phase is closer to that than the spherical one, which
            is right for a beam along the axis.
        aberrations: Zernike coefficients over the pupil, Noll order from 1, waves of unit RMS, shape (count,).
        defocus: how far behind the focal plane the detector lies, m.
        decentre: of the lens with its pupil, (y, x), m.
        tilt: of the light on the modulator, (y, x), rad.
        waist: of a Gaussian beam on the modulator, 1/e radius of the amplitude, m, taken at the middle of each pixel;
            infinite for even light.
        subpixels: pixels of light per pixel and axis, where effects act below the pixel; divides `oversampling`.
        oversampling: samples per pixel.
        plane: samples a side of the computed plane; by default N · oversampling², the critical sampling of both the
            transfer function and the lens when the pitches match.

    Raises:
        ValueError: a length that is not positive, a fill outside (0, 1], a number that is not finite, a pupil larger than
            the plane or than the lens is sampled well, or a plane too small for the distance.

    Source: Goodman (2005), section 5.2.2.
    """

    pixels: tuple[int, int] = eqx.field(static=True)
    pitch: Array = eqx.field(converter=as_leaf)
    wavelength: Array = eqx.field(converter=as_leaf)
    focal_length: Array = eqx.field(converter=as_leaf)
    fill: Array = eqx.field(converter=as_leaf)
    detector_fill: Array = eqx.field(converter=as_leaf)
    pupil_radius: Array = eqx.field(converter=as_leaf)
    profile: Callable = eqx.field(static=True)
    aberrations: Array = eqx.field(converter=as_leaf)
    defocus: Array = eqx.field(converter=as_leaf)
    decentre: Array = eqx.field(converter=as_leaf)
    tilt: Array = eqx.field(converter=as_leaf)
    waist: Array = eqx.field(converter=as_leaf)
    subpixels: int = eqx.field(static=True)
    oversampling: int = eqx.field(static=True)
    plane: int = eqx.field(static=True)

    def __init__(
        self,
        pixels,
        pitch,
        wavelength,
        focal_length=None,
        fill=1.0,
        detector_fill=1.0,
        pupil_radius=None,
        profile=wave.lens,
        aberrations=(),
        defocus=0.0,
        decentre=(0.0, 0.0),
        tilt=(0.0, 0.0),
        waist=math.inf,
        subpixels=1,
        oversampling=8,
        plane=None,
    ):
        self.pixels = pixel_shape(pixels, "pixels")
        if min(self.pixels) != 1 and self.pixels[0] != self.pixels[1]:
            raise ValueError(
                f"`pixels` must be one number, (1, N) or (N, 1), got {pixels!r}; one focal length matches one number of pixels."
            )
        n = max(self.pixels)
        check_whole("oversampling", oversampling, 2)
        check_whole("subpixels", subpixels, 1)
        check_positive("pitch", pitch, "m")
        check_positive("wavelength", wavelength, "m")
        self.oversampling, self.subpixels = int(oversampling), int(subpixels)
        self.pitch, self.wavelength, self.fill, self.detector_fill = pitch, wavelength, fill, detector_fill
        self.focal_length = n * pitch**2 / wavelength if focal_length is None else focal_length
        self.pupil_radius = 2.5 * n * pitch if pupil_radius is None else pupil_radius
        self.profile, self.aberrations, self.defocus = profile, jnp.asarray(aberrations, float), defocus
        self.decentre, self.tilt, self.waist = jnp.asarray(decentre, float), jnp.asarray(tilt, float), waist
        self.plane = n * oversampling**2 if plane is None else plane

    def __check_init__(self):
        check_positive("focal_length", self.focal_length, "m")
        check_positive("pupil_radius", self.pupil_radius, "m")
        check_range("fill", self.fill, 0.0, 1.0, open_low=True)
        check_range("detector_fill", self.detector_fill, 0.0, 1.0, open_low=True)
        check_whole("plane", self.plane, max(self.pixels) * self.oversampling)
        for name, unit in (("aberrations", "waves"), ("defocus", "m"), ("decentre", "m"), ("tilt", "rad")):
            check_finite(name, getattr(self, name), unit)
        for name, wanted in (("aberrations", (self.aberrations.size,)), ("decentre", (2,)), ("tilt", (2,))):
            if getattr(self, name).shape != wanted:
                raise ValueError(
                    f"`{name}` must be {'a vector' if wanted != (2,) else 'a pair (y, x)'}, got shape {getattr(self, name).shape}."
                )
        if is_concrete(self.waist) and not np.all(np.asarray(self.waist) > 0):
            raise ValueError(f"`waist` must be above 0 m, or infinite for even light, got {self.waist}.")
        if not callable(self.profile):
            raise ValueError(
                f"`profile` must be a function such as `optics.wave.lens` or `optics.wave.spherical_lens`, got {self.profile!r}."
            )
        odd = self.subpixels % 2
        if self.oversampling % (self.subpixels * (1 if odd else 2)):
            raise ValueError(
                f"`oversampling` must be a multiple of {self.subpixels * (1 if odd else 2)} for {self.subpixels} `subpixels`, "
                f"whose middles lie on samples, got {self.oversampling}."
            )
        self._check_sampling()

    def _check_sampling(self) -> None:
        numbers = self.pitch, self.wavelength, self.focal_length, self.pupil_radius, self.defocus
        if not all(map(is_concrete, numbers)) or any(np.ndim(v) for v in numbers):
            return
        pitch, wavelength, focal_length, radius, defocus = (float(v) for v in numbers)
        dx = pitch / self.oversampling
        slack = 1 + 1e-5  # the default plane is exactly critical; float32 must not tip it over
        half, sampled = self.plane * dx / 2, wavelength * focal_length / (2 * dx)
        if radius > min(half, sampled) * slack:
            what = (
                "the computed plane's half width"
                if half <= sampled
                else "the radius where the lens phase is sampled well"
            )
            raise ValueError(
                f"`pupil_radius` {radius:g} m is larger than {what}, {min(half, sampled):g} m; "
                f"reduce it, or raise `oversampling` (now {self.oversampling})."
            )
        longest = focal_length + max(defocus, 0.0)
        needed = wavelength * longest / dx**2
        if needed > self.plane * slack:
            raise ValueError(
                f"`plane` of {self.plane} samples is too small to propagate over {longest:g} m without aliasing: "
                f"it needs λ f / dx² = {int(np.ceil(needed))} samples; set `plane={int(np.ceil(needed))}` or reduce `oversampling`."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        return self.pixels

    @property
    def peak(self) -> Array:
        """How bright one modulator pixel can make one detector pixel, paraxially: both open areas over λ f (a pupil adds up to 1 %)."""
        line = (
            self.pitch
            * jnp.sqrt(self.fill * self.detector_fill / (self.wavelength * self.focal_length))
            / self.subpixels
        )
        return line ** sum(n > 1 for n in self.pixels)

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector by full propagation: arguments and result as those of `Dense`."""
        # "highest": a GPU would otherwise round the factors to ten bits.
        dot = partial(jnp.matmul, precision="highest")
        rows, cols = (emitter_modes(self, axis) for axis in (0, 1))
        field = dot(dot(rows, light * illumination(self)), cols.T)
        field = propagate(self, field, self.focal_length)
        field = propagate(self, field * transmission(self), self.focal_length + self.defocus)
        rows, cols = (receiver_modes(self, axis) for axis in (0, 1))
        out = reference_phase(self) * dot(dot(rows.T, field), cols)
        return out.real if real else out


def plane_shape(lens: FourierLens) -> tuple[int, int]:
    """Samples (rows, columns) of the computed plane."""
    rows, cols = (1 if n == 1 else lens.plane for n in lens.pixels)
    return rows, cols


def emitter_modes(lens: FourierLens, axis: int) -> Array:
    """Amplitude of every emitter's mode on a line along `axis`, shape (samples, pixels of light): power 1 a pixel."""
    return _modes(lens, axis, lens.subpixels, lens.fill)


def receiver_modes(lens: FourierLens, axis: int) -> Array:
    """Amplitude of every receiver's mode on a line along `axis`, shape (samples, pixels of the detector)."""
    return _modes(lens, axis, 1, lens.detector_fill)


def _modes(lens: FourierLens, axis: int, subpixels: int, fill: Array) -> Array:
    if lens.pixels[axis] == 1:
        return jnp.ones((1, 1), jnp.result_type(float))
    per_pixel = lens.oversampling // subpixels
    line = wave.pixel_apertures(lens.plane, lens.pixels[axis] * subpixels, per_pixel, fill)
    # In units of the sample spacing, which cancels between the density of the emitter and the integral of the receiver.
    # The sub-pixels of a pixel share its power.
    return jnp.roll(line, _first_shift(lens.pixels[axis], subpixels, per_pixel), axis=0) / jnp.sqrt(
        fill * lens.oversampling
    )


def _first_shift(pixels: int, subpixels: int, per_subpixel: int) -> int:
    """Samples from where `wave.pixels` centres sub-pixels to where the pixel they divide is centred."""
    return (
        (2 * (pixels * subpixels // 2) - 2 * subpixels * (pixels // 2) - (subpixels - 1)) * per_subpixel // 2
    )


def shifts(lens: FourierLens, axis: int, subpixels: int = 1) -> np.ndarray:
    """Samples from the axis to the middle of each pixel, or sub-pixel, along `axis`: whole numbers."""
    n = lens.pixels[axis]
    if n == 1:
        return np.zeros(1, int)
    per_pixel = lens.oversampling // subpixels
    return (np.arange(n * subpixels) - n * subpixels // 2) * per_pixel + _first_shift(n, subpixels, per_pixel)


def illumination(lens: FourierLens) -> Array:
    """Complex amplitude of the light on each modulator pixel, shape (rows, columns) of light."""
    return jnp.outer(illumination_line(lens, 0), illumination_line(lens, 1))


def illumination_line(lens: FourierLens, axis: int) -> Array:
    """The factor of the illumination along `axis`: a tilted Gaussian beam separates."""
    r = (
        jnp.asarray(shifts(lens, axis, lens.subpixels), jnp.result_type(float))
        * lens.pitch
        / lens.oversampling
    )
    phase = 2 * jnp.pi / lens.wavelength * jnp.sin(lens.tilt[axis]) * r
    return jnp.exp(-((r / lens.waist) ** 2)) * jnp.exp(1j * phase)


def propagate(lens: FourierLens, field: Array, z: Array) -> Array:
    """Free space over `z`."""
    return wave.angular_spectrum(field, lens.pitch / lens.oversampling, lens.wavelength, z)


def transmission(lens: FourierLens) -> Array:
    """The lens in its pupil with its aberrations, shape of the plane."""
    shape, dx, centre = (
        plane_shape(lens),
        lens.pitch / lens.oversampling,
        (lens.decentre[0], lens.decentre[1]),
    )
    thin = lens.profile(shape, dx, lens.wavelength, lens.focal_length, centre=centre) * wave.aperture(
        shape, dx, lens.pupil_radius, centre=centre
    )
    if not lens.aberrations.size:
        return thin
    return thin * wave.aberration(shape, dx, lens.pupil_radius, lens.aberrations, centre=centre)


def reference_phase(lens: FourierLens) -> complex:
    """What the receivers' reference takes out: i for a lens, √i for a cylindrical one, 1 for a single pixel."""
    return {0: 1.0 + 0j, 1: complex(np.exp(0.25j * np.pi)), 2: 1j}[sum(n > 1 for n in lens.pixels)]


def thrown(lens: FourierLens) -> Array:
    """The field that the emitter on the axis throws onto the plane of the lens, shape of the plane."""
    return _from_axis(lens, lens.subpixels, lens.fill, lens.focal_length)


def seen(lens: FourierLens) -> Array:
    """The same for the receiver on the axis, backwards: propagation is reciprocal."""
    return _from_axis(lens, 1, lens.detector_fill, lens.focal_length + lens.defocus)


def _from_axis(lens: FourierLens, subpixels: int, fill: Array, z: Array) -> Array:
    lines = []
    for n in lens.pixels:
        one = (
            jnp.ones(1, jnp.result_type(float))
            if n == 1
            else wave.pixel_apertures(lens.plane, 1, lens.oversampling // subpixels, fill)[:, 0]
        )
        lines.append(one if n == 1 else one / jnp.sqrt(fill * lens.oversampling))
    return propagate(lens, jnp.outer(*lines).astype(jnp.result_type(complex)), z)


def box(samples: int, half: int) -> np.ndarray:
    """The samples of a line that lie within `half` of its middle."""
    middle = samples // 2
    return np.arange(max(0, middle - half), min(samples, middle + half + 1))
