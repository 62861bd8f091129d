"""A 2f system with its pixels, lens, pupil and errors, described and propagated in full."""

import math
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics import wave
from optics._check import (
    as_leaf,
    as_pixels,
    as_vector,
    check_function,
    check_memory,
    check_number,
    check_positive_number,
    check_positive_or_infinite,
    check_whole,
    is_concrete,
)
from optics._typing import ArrayLike, CountLike, FunctionLike, ScalarLike, ShapeLike
from optics.transfer._band_limit import opening, opening_spectrum, stop
from optics.transfer._lens_sampling import (
    check_lens_sampling,
    default_plane,
    default_pupil_radius,
    warn_unless_metres,
)
from optics.transfer._orders import (
    Panel,
    band,
    centred_line,
    default_orders,
    detector_ratio,
    propagate_panel,
)
from optics.transfer._orders_sampling import check_panel_sampling, default_panel_plane, panel_oversampling
from optics.transfer._transfer import AbstractTransfer


class FourierLens(AbstractTransfer):
    """A 2f system, propagated in full: modulator, free space f, lens with a pupil, free space f, detector.

    A modulator pixel of amplitude 1 sends power 1 through its open square. A detector pixel gives the
    amplitude of its own square mode. The map between them is therefore at most unitary. With matched pitches,
    λ f / (pixels · pitch) = pitch, it is the discrete Fourier transform, dimmed by the two fill factors and
    shaded by their sinc envelopes. The constant phase −i of a lens transform is left out like the piston: the
    receivers' reference is set to it.

    With one row or one column of pixels the optics is one-dimensional: a cylindrical lens, a slit for a
    pupil, light that does not spread along the other axis (a slab waveguide, or collimation); the phase left
    out is exp(−iπ/4).

    Up to 16 pixels a side everything that pixels scatter is followed, `oversampling` samples a pixel. Of a
    larger panel only the diffraction `orders` that the detector sees are: two samples a pixel on a plane of
    little more than twice its width. What is left out is light that an ideal lens sends past the detector.

    It describes an engine whose pixels are matched to its lens. Where they are finer, group them to a pitch
    of √(λ f / N), or propagate the panel's field with `optics.wave`.

    Arguments:
        pixels: N, pixels a side of modulator and detector; (rows, columns) of a panel, whose detector has as
            many and covers a square, by pixels of another pitch along the shorter side; (1, N) or (N, 1) for
            one-dimensional optics.
        pitch: of modulator and detector pixels, m.
        wavelength: m.
        focal_length: m; by default N · pitch² / λ, which makes the pitches match.
        fill: linear fill factor of the modulator pixel (of a sub-pixel where pixels are divided), in (0, 1].
        detector_fill: linear fill factor of the detector pixel, in (0, 1].
        pupil_radius: of the lens, m; by default 2.5 · N · pitch, or 0.85 of the radius that is sampled well
            where that is less, as below 6 samples a pixel. The zero order fills a square of N · pitch on
            either side of the axis: a smaller radius than √2 of it cuts its corners. Light of other orders
            is scattered by the edge then: of 64×64 pixels the map is wrong by 1.3e-2 with one of the `orders`
            at half that width, 9.8e-3 at the width and 3.7e-3 at √2 of it, and by 1.6e-5, 8.2e-5 and 5.7e-4
            with three (Rayleigh–Sommerfeld integral).
        profile: phase of the lens, a function of (shape, dx, wavelength, focal_length, centre=...), such as
            `wave.lens` (paraxial), `wave.spherical_lens` or an aspheric one. A Fourier lens sends a beam to
            the sine of its angle. The paraxial phase comes closer to that than the spherical one, which is
            correct for a beam along the axis.
        aberrations: Zernike coefficients over the pupil, Noll order from 1, waves of unit RMS, shape
            (count,).
        defocus: distance of the detector behind the focal plane, m.
        decentre: of the lens with its pupil, (y, x), m.
        tilt: of the beam on the modulator, (y, x), rad. Its phase turns within each pixel too, as on a panel:
            the light of a pixel leaves at that angle. Emitters that have a phase each are tilted by their
            drive instead, which leaves the light of each on the axis.
        waist: of a Gaussian beam on the modulator, 1/e radius of the amplitude, m, evaluated at the middle of
            each pixel; infinite for even light.
        subpixels: pixels of light per pixel and axis, where effects act below the pixel; divides
            `oversampling`.
        orders: diffraction orders whose light is followed, along each axis: 1 is the zero order, with 3 √N
            pixels more on either side of the detector; None all that the samples hold. By default 1 for more
            than 16 pixels a side and for panels that are not square, unless `oversampling` is given.
        oversampling: samples per pixel; by default 8, or as many as `orders` take, which are 2 for the zero
            order. Edges of pixels and pupil lie anywhere between samples, and the error falls exponentially:
            with the default pupil and a fill of 0.5 the map is within 1e-3 of the Rayleigh–Sommerfeld
            integral at 6, 1e-4 at 8 and 1e-6 at 16.
        plane: samples a side of the computed plane; by default that of the light of `orders`, about 4 N for
            the zero order; of all orders N · oversampling², at which transfer function and lens are both
            critically sampled when the pitches match, or λ (f + defocus) / dx², which it needs, where that is
            more; rounded up to a length whose FFT is fast. A `defocus` that is set later does not change it.

    Raises:
        ValueError: a length that is not positive, a fill outside (0, 1], a number that is not finite, a pupil
            larger than the plane or than the part of the lens that is sampled well, a plane too small for the
            distance, or a default plane too large for memory.

    Warns:
        UserWarning: a wavelength above 1 mm or a pitch above 0.1 m: lengths are in metres.
        wave.SamplingWarning: errors of the lens that move light by more than the guard of `orders`, or a
            pupil that cuts light, with fewer `orders` than its edge needs.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(11, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> round(float(lens.focal_length), 4), lens.plane
        (0.1145, 704)

    Source: Goodman (2005), section 5.2.2.
    """

    pixels: tuple[int, int] = eqx.field(static=True)
    pitch: Array = eqx.field(converter=as_leaf)
    wavelength: Array = eqx.field(converter=as_leaf)
    focal_length: Array = eqx.field(converter=as_leaf)
    fill: Array = eqx.field(converter=as_leaf)
    detector_fill: Array = eqx.field(converter=as_leaf)
    pupil_radius: Array = eqx.field(converter=as_leaf)
    profile: FunctionLike = eqx.field(static=True)
    aberrations: Array = eqx.field(converter=as_leaf)
    defocus: Array = eqx.field(converter=as_leaf)
    decentre: Array = eqx.field(converter=as_leaf)
    tilt: Array = eqx.field(converter=as_leaf)
    waist: Array = eqx.field(converter=as_leaf)
    subpixels: int = eqx.field(static=True)
    orders: int | None = eqx.field(static=True)
    oversampling: int = eqx.field(static=True)
    plane: int = eqx.field(static=True)

    def __init__(
        self,
        pixels: ShapeLike,
        pitch: ScalarLike,
        wavelength: ScalarLike,
        focal_length: ScalarLike | None = None,
        fill: ScalarLike = 1.0,
        detector_fill: ScalarLike = 1.0,
        pupil_radius: ScalarLike | None = None,
        profile: FunctionLike = wave.lens,
        aberrations: ArrayLike = (),
        defocus: ScalarLike = 0.0,
        decentre: ArrayLike = (0.0, 0.0),
        tilt: ArrayLike = (0.0, 0.0),
        waist: ScalarLike = math.inf,
        subpixels: CountLike = 1,
        oversampling: CountLike | None = None,
        plane: CountLike | None = None,
        orders: CountLike | None = None,
    ):
        self.pixels = as_pixels("pixels", pixels)
        check_positive_number("pitch", pitch, "m")
        check_positive_number("wavelength", wavelength, "m")
        check_whole("subpixels", subpixels, 1)
        if oversampling is not None:
            check_whole("oversampling", oversampling, 2)
        if orders is not None:
            check_whole("orders", orders, 1)
        warn_unless_metres(pitch, wavelength)
        n = max(self.pixels)
        self.pitch = pitch
        self.wavelength = wavelength
        self.focal_length = n * pitch**2 / wavelength if focal_length is None else focal_length
        check_positive_number("focal_length", self.focal_length, "m")
        check_number("defocus", defocus, unit="m")
        check_number("fill", fill, 0.0, 1.0, open_low=True)
        check_number("detector_fill", detector_fill, 0.0, 1.0, open_low=True)
        check_positive_or_infinite("waist", waist, "m")
        check_function("profile", profile, "`optics.wave.lens` or `optics.wave.spherical_lens`")
        self.fill = fill
        self.detector_fill = detector_fill
        self.profile = profile
        self.aberrations = as_vector("aberrations", aberrations, "waves")
        self.defocus = defocus
        self.decentre = as_vector("decentre", decentre, "m", 2)
        self.tilt = as_vector("tilt", tilt, "rad", 2)
        self.waist = waist
        self.subpixels = int(subpixels)
        numbers = pitch, wavelength, self.focal_length, defocus
        self.orders = default_orders(self.pixels, oversampling) if orders is None else int(orders)
        if self.orders is not None and min(self.pixels) == 1:
            raise ValueError(f"`orders` must be None for a line of pixels, got {orders}.")
        if self.orders is not None:
            self._set_panel_plane(oversampling, plane, numbers)
        else:
            self.oversampling = 8 if oversampling is None else int(oversampling)
            self._set_plane(plane, numbers)
        if pupil_radius is None:
            pupil_radius = default_pupil_radius(n, *numbers[:3], self.oversampling, self.plane, self.orders)
        check_positive_number("pupil_radius", pupil_radius, "m")
        self.pupil_radius = pupil_radius

    def _set_plane(self, plane: CountLike | None, numbers: tuple) -> None:
        """The plane of all orders: `plane`, or what light and distance take."""
        axes = sum(count > 1 for count in self.pixels)
        if plane is None:
            self.plane = default_plane(self.pixels, *numbers, self.oversampling)
            check_memory("pixels", self.pixels, self.plane**axes, "the default plane")
        else:
            check_whole("plane", plane, max(self.pixels) * self.oversampling)
            check_memory("plane", plane, plane**axes, "a field")
            self.plane = int(plane)

    def _set_panel_plane(
        self, oversampling: CountLike | None, plane: CountLike | None, numbers: tuple
    ) -> None:
        """Oversampling and plane of the followed orders."""
        structure = self.pixels, self.orders, self.subpixels
        self.oversampling = panel_oversampling(*structure, *numbers[:3], oversampling)
        self.plane = default_panel_plane(self.pixels, self.orders, self.oversampling, *numbers[2:], plane)

    def __check_init__(self):
        numbers = self.pitch, self.wavelength, self.focal_length, self.pupil_radius, self.defocus
        # Numbers that are traced, or batched by `vmap`, are not checked.
        is_known = all(is_concrete(v) and np.ndim(v) == 0 for v in numbers)
        if self.orders is None:
            self._check_subpixels()
            if is_known:
                check_lens_sampling(self.pixels, *map(float, numbers), self.oversampling, self.plane)
        elif is_known and is_concrete(self.aberrations):
            check_panel_sampling(
                self.pixels,
                self.orders,
                self.oversampling,
                self.plane,
                *map(float, numbers),
                np.asarray(self.aberrations),
            )

    def _check_subpixels(self) -> None:
        # The middle of a sub-pixel lies on a sample.
        multiple = self.subpixels if self.subpixels % 2 else 2 * self.subpixels
        if self.oversampling % multiple:
            raise ValueError(
                f"`oversampling` must be a multiple of {multiple} for {self.subpixels} `subpixels`, "
                f"whose middles lie on samples, got {self.oversampling}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        return self.pixels

    @property
    def peak(self) -> Array:
        """How bright one modulator pixel can make one detector pixel: both open areas over λ f.

        It is the paraxial value; a pupil adds up to 1 %.
        """
        area = jnp.sqrt(self.fill * self.detector_fill / (self.wavelength * self.focal_length))
        line = self.pitch * area / self.subpixels
        axes = sum(n > 1 for n in self.pixels)
        # The pixels of the detector are larger along the shorter side.
        ratios = [detector_ratio(self.pixels, axis) for axis in (0, 1)] if axes == 2 else [1.0]
        return math.sqrt(math.prod(ratios)) * line**axes

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The field at the detector by full propagation; arguments as those of `AbstractTransfer`."""
        if self.orders is not None:
            out = propagate_panel(as_panel(self), light * illumination(self), self.pixels, strides(self))
            return out.real if real else out
        if min(self.pixels) == 1:
            field = propagate(self, emit_line(self, light * illumination(self)), self.focal_length)
            field = propagate(self, field * transmission(self), self.focal_length + self.defocus)
            out = reference_phase(self) * receive_line(self, field)
            return out.real if real else out
        # "highest": a GPU would round the factors to ten bits.
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
    """Amplitude of every emitter's mode along `axis`, shape (samples, pixels of light): power 1 a pixel."""
    return _at_pixels(lens, emitter_line(lens, axis), axis, lens.subpixels)


def receiver_modes(lens: FourierLens, axis: int) -> Array:
    """Amplitude of every receiver's mode on a line along `axis`, shape (samples, pixels of the detector)."""
    return _at_pixels(lens, receiver_line(lens, axis), axis, 1)


def emit_line(lens: FourierLens, light: Array) -> Array:
    """The field on the plane of the modulator of a lens of one row or one column of pixels.

    By a Fourier transform: the modes of a line of a thousand pixels do not fit in memory.
    """
    axis = int(lens.pixels[0] == 1)
    samples = lens.plane
    lines = jnp.moveaxis(light, axis - 2, -1)
    places = samples // 2 + pixel_offsets(lens, axis, lens.subpixels)
    dark = jnp.zeros((*lines.shape[:-1], samples), lines.dtype)
    impulses = dark.at[..., places].set(lines, unique_indices=True)
    mode = jnp.fft.fft(jnp.fft.ifftshift(emitter_line(lens, axis)))
    return jnp.moveaxis(jnp.fft.ifft(jnp.fft.fft(impulses) * mode), -1, axis - 2)


def receive_line(lens: FourierLens, field: Array, reverse: bool = False, shift: ScalarLike = 0.0) -> Array:
    """What the receivers of a lens of one row or one column of pixels see of a field on their plane.

    Arguments:
        lens: the lens.
        field: on the plane.
        reverse: the order of the receivers, as behind an image, which is upside down.
        shift: of the field with respect to the receivers, m.
    """
    axis = int(lens.pixels[0] == 1)
    samples = lens.plane
    turns = jnp.fft.fftfreq(samples) * shift / (lens.pitch / lens.oversampling)
    mode = jnp.fft.fft(jnp.fft.ifftshift(receiver_line(lens, axis))) * jnp.exp(-2j * jnp.pi * turns)
    seen = jnp.fft.ifft(jnp.fft.fft(jnp.moveaxis(field, axis - 2, -1)) * mode)
    offsets = pixel_offsets(lens, axis)
    return jnp.moveaxis(seen[..., samples // 2 + (-offsets if reverse else offsets)], -1, axis - 2)


def _at_pixels(lens: FourierLens, line: Array, axis: int, subpixels: int) -> Array:
    samples = np.arange(line.size)[:, None]
    return line[(samples - pixel_offsets(lens, axis, subpixels)) % line.size]


def emitter_line(lens: FourierLens, axis: int) -> Array:
    """Amplitude along `axis` of the emitter on the axis, under the tilted beam."""
    # In units of the sample spacing, which cancels between the density of the emitter and the integral of the
    # receiver. The sub-pixels of a pixel share its power.
    if lens.pixels[axis] == 1:
        return jnp.ones(1, jnp.result_type(complex))
    width = lens.fill * lens.oversampling / lens.subpixels
    turns = jnp.sin(lens.tilt[axis]) * lens.pitch / (lens.oversampling * lens.wavelength)
    if lens.orders is None:
        return opening(lens.plane, width, turns) / jnp.sqrt(lens.subpixels)
    return jnp.fft.fftshift(jnp.fft.ifft(_emitter_spectrum(lens, axis)))


def receiver_line(lens: FourierLens, axis: int) -> Array:
    """Amplitude along `axis` of the mode of the receiver on the axis."""
    if lens.pixels[axis] == 1:
        return jnp.ones(1, jnp.result_type(complex))
    return opening(lens.plane, lens.detector_fill * lens.oversampling)


def _subpixel_offset(n: int, subpixels: int, per_subpixel: float) -> float:
    """Samples from the axis, the middle of pixel n // 2, to that of sub-pixel n · subpixels // 2."""
    halves = 2 * (n * subpixels // 2) - 2 * subpixels * (n // 2) - (subpixels - 1)
    return halves * per_subpixel / 2


def pixel_offsets(lens: FourierLens, axis: int, subpixels: int = 1) -> np.ndarray:
    """Samples from the axis to the middle of each pixel, or sub-pixel, along `axis`: whole numbers where all
    orders are followed.
    """
    n = lens.pixels[axis]
    if n == 1:
        return np.zeros(1, int)
    per_subpixel = lens.oversampling / subpixels
    centres = (np.arange(n * subpixels) - n * subpixels // 2) * per_subpixel
    offsets = centres + _subpixel_offset(n, subpixels, per_subpixel)
    return offsets.astype(int) if np.all(offsets % 1 == 0) else offsets


def illumination(lens: FourierLens) -> Array:
    """Complex amplitude of the light on each modulator pixel, shape (rows, columns) of light."""
    return jnp.outer(illumination_line(lens, 0), illumination_line(lens, 1))


def illumination_line(lens: FourierLens, axis: int) -> Array:
    """The factor of the illumination along `axis`: a tilted Gaussian beam separates."""
    offsets = jnp.asarray(pixel_offsets(lens, axis, lens.subpixels), jnp.result_type(float))
    r = offsets * lens.pitch / lens.oversampling
    phase = 2 * jnp.pi / lens.wavelength * jnp.sin(lens.tilt[axis]) * r
    return jnp.exp(-((r / lens.waist) ** 2)) * jnp.exp(1j * phase)


def propagate(lens: FourierLens, field: Array, z: Array) -> Array:
    """Free space over `z`."""
    return wave.angular_spectrum(field, lens.pitch / lens.oversampling, lens.wavelength, z)


def transmission(lens: FourierLens) -> Array:
    """The lens in its pupil with its aberrations, shape of the plane."""
    shape = plane_shape(lens)
    dx = lens.pitch / lens.oversampling
    centre = lens.decentre[0], lens.decentre[1]
    thin = lens.profile(shape, dx, lens.wavelength, lens.focal_length, centre=centre)
    in_pupil = thin * stop(shape, dx, lens.pupil_radius, centre)
    if not lens.aberrations.size:
        return in_pupil
    return in_pupil * wave.aberration(shape, dx, lens.pupil_radius, lens.aberrations, centre=centre)


def reference_phase(lens: FourierLens) -> complex:
    """The phase that the receivers' reference takes out: i for a lens, √i for a cylindrical one."""
    return {0: 1.0 + 0j, 1: complex(np.exp(0.25j * np.pi)), 2: 1j}[sum(n > 1 for n in lens.pixels)]


def emitter_field(lens: FourierLens) -> Array:
    """The field of the emitter on the axis, on the plane of the lens."""
    return propagate(lens, jnp.outer(*(emitter_line(lens, axis) for axis in (0, 1))), lens.focal_length)


def receiver_field(lens: FourierLens) -> Array:
    """The field of the receiver on the axis, propagated backwards to the plane of the lens."""
    field = jnp.outer(*(receiver_line(lens, axis) for axis in (0, 1)))
    return propagate(lens, field, lens.focal_length + lens.defocus)


def window(samples: int, half: int) -> np.ndarray:
    """The samples of a line that lie within `half` of its middle."""
    middle = samples // 2
    return np.arange(max(0, middle - half), min(samples, middle + half + 1))


def as_panel(lens: FourierLens) -> Panel:
    """What `propagate_panel` takes, of a lens that follows some orders."""
    samples, dx = lens.plane, lens.pitch / lens.oversampling
    middle = centred_line(samples)
    frequency = jnp.fft.fftfreq(samples)

    def emitter(axis):
        moved = jnp.exp(-2j * jnp.pi * frequency * _middle_offset(lens, axis))
        return middle * _emitter_spectrum(lens, axis) * moved

    def receiver(axis):
        width = lens.detector_fill * lens.oversampling * detector_ratio(lens.pixels, axis)
        return jnp.conj(middle) * opening_spectrum(samples, width)

    return Panel(
        emitters=(emitter(0), emitter(1)),
        receivers=(receiver(0), reference_phase(lens) * receiver(1)),
        to_lens=wave.transfer_function((samples, samples), dx, lens.wavelength, lens.focal_length),
        lens=transmission(lens),
        to_detector=wave.transfer_function(
            (samples, samples), dx, lens.wavelength, lens.focal_length + lens.defocus
        ),
    )


def _emitter_spectrum(lens: FourierLens, axis: int) -> Array:
    """Spectrum of the emitter on the axis along `axis`, in the band that is followed."""
    samples, dx = lens.plane, lens.pitch / lens.oversampling
    followed = band(lens.pixels, lens.orders, samples, dx, lens.wavelength, lens.focal_length, lens.pitch)
    width = lens.fill * lens.oversampling / lens.subpixels
    turns = jnp.sin(lens.tilt[axis]) * dx / lens.wavelength
    return followed * opening_spectrum(samples, width, turns) / jnp.sqrt(lens.subpixels)


def strides(lens: FourierLens) -> tuple[int, tuple[int, int]]:
    """Samples from pixel to pixel of light, and the lengths of the transforms whose samples are detector
    pixels.
    """
    line = lens.oversampling * max(lens.pixels)
    rows, cols = (lens.plane * n // line for n in lens.pixels)
    return lens.oversampling // lens.subpixels, (rows, cols)


def _middle_offset(lens: FourierLens, axis: int) -> float:
    """Samples from the axis to the middle of pixel of light n // 2."""
    return _subpixel_offset(lens.pixels[axis], lens.subpixels, lens.oversampling / lens.subpixels)
