"""A 4f correlator in incoherent light: powers in, powers out, and a kernel of powers."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_floats, check_key, check_memory, check_range, check_shape
from optics._keys import split_key
from optics._numerics import reverse_about_centre, safe_sqrt
from optics._program import as_one_program
from optics._typing import ArrayLike, EffectsLike, KeyLike, ScalarLike, TransferLike
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import (
    as_gain,
    as_headroom,
    centred_spectrum,
    check_modulator,
    check_photodiodes,
    check_power_modulator,
    check_same_pixels,
    check_transfer,
    encode_amplitude,
    full_scale_of,
)
from optics.device._modes import brightest_pixel, check_modes, sum_modes
from optics.device._propagate_powers import count_planes, propagate_powers
from optics.effects import Effect, apply
from optics.transfer import AbstractTransfer, Modal, without_phases

# Of more pixels the powers are propagated without the response of every pixel to every other.
LARGEST_MATRIX = 512
# Pixels of a batch of planes, above which they are exposed one after another.
LARGEST_BATCH = 2**16
# Planes of numbers that such a propagation holds, besides those of its terms.
PLANES_AT_ONCE = 12


class IncoherentCorrelator(AbstractDevice):
    """A 4f correlator lit by a diode: every pixel of the input is a point source, and a camera adds powers.

        y = Σ_pixels |h|² x,   |h|² ∝ w:   filter = F(√w · exp(iθ))

    Light from two pixels does not interfere, so that the system is linear in power, and its response to a
    point is the squared modulus of the response h that the filter sets. Only the modulus of h counts; a
    quadratic phase θ spreads its spectrum over the filter, of which a single bright pixel would be the scale.
    Powers are not negative: x and w are each the difference of two parts, and the four exposures of a pair of
    planes are added with their signs in electronics. Complex numbers take four real convolutions. The
    gradient by x is that of the light, and the gradient by w that of an ideal filter: √w has none at zero.

    The source is as wide as it takes for light of neighbouring pixels not to interfere, and all light of one
    pixel does. Each mode of a `Modal` has its own responses, and their powers add up: so an image blurs where
    wavelengths are of different size.

    Up to 512 pixels in all a kernel is the matrix of its responses. Beyond, the powers are propagated without
    it, in some fields: between `MaskedFFT` of K terms by K⁴ / 2 convolutions of the shifted images of points,
    through other transfers by the points of the input, some at a time, two transforms for each. On one core
    128×128 pixels in one wavelength, 3 terms, take 0.07 s and 8 MB; 64×64 in the five wavelengths of a line
    of 17 nm, which are of different size and take 38 terms, 160 s and 182 MB.

    Arguments:
        first: input -> filter, `Dense`, `MaskedFFT` (compiled) or `FourierLens`, or the `Modal` of one.
        second: filter -> detector; by default `first` again.
        slm: effects on the powers of the input, in units of the brightest pixel.
        filter: effects on the amplitudes of the filter.
        camera: effects on the frames.
        input_gain, output_gain: calibrated gains of one lens, as `calibrate` finds for a `FourierProcessor`,
            on amplitudes: squared on the powers before and after, and on the filter between as in
            `Correlator`.
        headroom: full scale over the brightest pixel that one exposure more finds, at least 1; noise may
            saturate that pixel.

    Raises:
        ValueError: lenses of different shapes or with `subpixels`, gains that are not finite or of another
            shape, `headroom` below 1, or an effect where it has no meaning.

    Source: J. W. Goodman, Introduction to Fourier Optics (2005), section 6.3 and 8.1; A. W. Lohmann and W. T.
        Rhodes, Appl. Opt. 17, 1141 (1978), on parts with signs.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.IncoherentCorrelator(optics.dft(4))
        >>> x = jnp.eye(4)
        >>> print(jnp.abs(optics.convolve(x, -x, device) - optics.convolve(x, -x)).max() < 1e-5)
        True
    """

    first: AbstractTransfer
    second: AbstractTransfer
    slm: tuple[Effect, ...]
    filter: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    input_gain: Array
    output_gain: Array
    headroom: Array

    def __init__(
        self,
        first: TransferLike,
        second: TransferLike | None = None,
        slm: EffectsLike = (),
        filter: EffectsLike = (),
        camera: EffectsLike = (),
        input_gain: ArrayLike = 1.0,
        output_gain: ArrayLike = 1.0,
        headroom: ScalarLike = 1.05,
    ):
        second = without_phases(first) if second is None else second
        check_transfer("first", first)
        check_transfer("second", second)
        check_power_modulator("slm", slm)
        check_modulator("filter", filter)
        check_photodiodes("camera", camera, signed=False)
        self.first, self.second = first, second
        self.slm, self.filter, self.camera = tuple(slm), tuple(filter), tuple(camera)
        self.input_gain = as_gain("input_gain", input_gain, first.shape)
        self.output_gain = as_gain("output_gain", output_gain, first.shape)
        self.headroom = as_headroom(headroom)

    def __check_init__(self):
        check_same_pixels(self.first, self.second)
        if (self.first.subpixels, self.second.subpixels) != (1, 1):
            raise ValueError(
                f"`first` and `second` must not divide their pixels, got {self.first.subpixels} and "
                f"{self.second.subpixels} `subpixels`."
            )
        check_modes(self.first, self.filter, self.second)

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
        x, w = (jnp.stack([a.real, a.imag]) if jnp.iscomplexobj(a) else a[None] for a in (x, w))
        keys = split_key(key, len(x) * len(w))
        if self._has_matrix:
            pixels = math.prod(self.shape)
            check_memory("w", w.shape, math.prod(w.shape[:-2]) * pixels**2, "the responses of its kernels")
        else:
            check_memory("w", w.shape, self._planes_at_once() * math.prod(self.shape), "its fields")
        parts = [
            self._convolve_real(a, b, keys[i * len(w) + j]) for i, a in enumerate(x) for j, b in enumerate(w)
        ]
        if len(x) == len(w) == 1:
            return parts[0]
        if len(x) == len(w):
            return jax.lax.complex(parts[0] - parts[3], parts[1] + parts[2])
        return jax.lax.complex(*parts)

    def response(self, w: ArrayLike, key: KeyLike = None) -> Float[Array, "out in"]:
        """The power at each pixel of the detector from each pixel of the input, for a kernel of powers.

        Arguments:
            w: not negative, shape (rows, columns), any unit.
            key: of the filter's noise, consumed, or None.

        Raises:
            ValueError: `w` negative or of another shape, a bad key, or pixels whose pairs do not fit in
                memory.

        Returns:
            shape (pixels, pixels), times the power of an input pixel it is power at the detector. Squared
            moduli of fields summed over the modes of the light.
        """
        check_range("w", w, 0.0, math.inf)
        w = as_floats("w", w)
        if w.shape != self.shape:
            raise ValueError(f"`w` must have the shape {self.shape} of the device, got {w.shape}.")
        check_key("key", key)
        check_memory("w", w.shape, w.size**2, "pairs of pixels")
        return self._response(w, key)[0]

    def _convolve_real(self, x: Array, w: Array, key: Array | None) -> Array:
        """The convolution of real planes: four of their parts, exposed one after the other.

        A response of powers is the square of what a filter sets, and √w has no slope at zero. The slope by w
        is that of an ideal filter, whose response is w itself.
        """
        linear = _convolve_exactly(jax.lax.stop_gradient(x), w)
        return self._expose_parts(x, jax.lax.stop_gradient(w), key) + linear - jax.lax.stop_gradient(linear)

    def _expose_parts(self, x: Array, w: Array, key: Array | None) -> Array:
        x_parts, w_parts = (jnp.stack([jnp.maximum(a, 0), jnp.maximum(-a, 0)]) for a in (x, w))
        lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        x_parts, w_parts = (
            parts.reshape(2, *(1,) * (len(lead) + 3 - parts.ndim), *parts.shape[1:])
            for parts in (x_parts, w_parts)
        )
        x_parts, w_parts = x_parts[:, None], w_parts[None]
        keys = None if key is None else split_key(key, (2, 2, *lead))
        if not self._has_matrix and math.prod(lead) * x.shape[-1] * x.shape[-2] > LARGEST_BATCH:
            parts = self._expose_one_by_one(x_parts, w_parts, keys)
            return parts[0, 0] - parts[0, 1] - parts[1, 0] + parts[1, 1]
        convolve = jnp.vectorize(self._convolve_powers, signature="(r,c),(r,c),()->(r,c)")
        if key is None:
            convolve = jnp.vectorize(
                lambda x, w: self._convolve_powers(x, w, None), signature="(r,c),(r,c)->(r,c)"
            )
            parts = convolve(x_parts, w_parts)
        else:
            parts = convolve(x_parts, w_parts, keys)
        return parts[0, 0] - parts[0, 1] - parts[1, 0] + parts[1, 1]

    def _expose_one_by_one(self, x_parts: Array, w_parts: Array, keys: Array | None) -> Array:
        """Exposures of large planes one after another, so that one at a time is in memory."""
        shape = jnp.broadcast_shapes(x_parts.shape, w_parts.shape)
        planes = [jnp.broadcast_to(part, shape).reshape(-1, *shape[-2:]) for part in (x_parts, w_parts)]
        keys = None if keys is None else keys.reshape(-1)
        parts = jax.lax.map(
            jax.checkpoint(lambda exposure: self._convolve_powers(*exposure)), (*planes, keys)
        )
        return parts.reshape(shape)

    def _convolve_powers(self, x: Array, w: Array, key: Array | None) -> Array:
        """The convolution of planes that are not negative, in one exposure."""
        slm_key, filter_key, camera_key = split_key(key, 3)
        calibrated = x * _square(self.input_gain)
        # A dark plane keeps its slope.
        brightest = _one_where_zero(brightest_pixel(calibrated))
        drive = calibrated / brightest
        lights = apply(self.slm, drive, slm_key), jax.lax.stop_gradient(apply(self.slm, drive, None))
        if self._has_matrix:
            response, scale = self._response(w, filter_key)
            power = self._detect(response, lights[0])
            steady = self._detect(jax.lax.stop_gradient(response), lights[1])
        else:
            (power, steady), scale = self._propagate(jnp.stack(lights), w, filter_key)
            steady = jax.lax.stop_gradient(steady)
        full_scale = full_scale_of(jnp.max(steady, axis=(-2, -1), keepdims=True), self.headroom)
        frame = apply(self.camera, (power / full_scale)[None], camera_key)[0]
        result = reverse_about_centre(frame * full_scale)
        output_gain = reverse_about_centre(jnp.broadcast_to(_square(self.output_gain), self.shape))
        result = math.prod(self.shape) * scale * brightest * output_gain * result
        # Nothing is read of a plane of zeros, whatever the camera gives.
        return jnp.where(jnp.any(x != 0) & jnp.any(w != 0), result, result - jax.lax.stop_gradient(result))

    def _detect(self, response: Array, light: Array) -> Array:
        power = jnp.matmul(response, light.reshape(-1), precision="highest")
        return power.reshape(self.shape)

    @property
    def _has_matrix(self) -> bool:
        return math.prod(self.shape) <= LARGEST_MATRIX

    def _planes_at_once(self) -> int:
        """Planes of numbers in memory for one exposure."""
        modes = [part.modes for part in (self.first, self.second) if isinstance(part, Modal)]
        first, second = (
            part.transfer if isinstance(part, Modal) else part for part in (self.first, self.second)
        )
        return max([1, *modes]) * (PLANES_AT_ONCE + count_planes(first, second))

    def _filter_drive(self, w: Array) -> tuple[Array, Array]:
        """What the filter shows for a kernel of powers, and what powers are to be multiplied by."""
        strongest = _one_where_zero(brightest_pixel(w))
        modulus = safe_sqrt(w / strongest)
        impulse = modulus * _chirp(self.shape)
        spectrum = centred_spectrum(impulse)
        drive, scale = encode_amplitude(spectrum * self.output_gain * self.input_gain, self.filter)
        return drive, scale**2 * strongest

    def _propagate(self, lights: Array, w: Array, key: Array | None) -> tuple[Array, Array]:
        """The powers at the detector of several inputs, and what they are to be multiplied by."""
        drive, scale = self._filter_drive(w)

        def form(parts):
            first, filter, second = parts
            return propagate_powers(first, apply(filter, drive, key), second, lights)

        return sum_modes((self.first, self.filter, self.second), form, linear=False), scale

    def _response(self, w: Array, key: Array | None) -> tuple[Array, Array]:
        """The power response for a kernel of powers, and what it is to be multiplied by."""
        drive, scale = self._filter_drive(w)
        pixels = math.prod(self.shape)
        points = jnp.eye(pixels, dtype=w.dtype).reshape(pixels, *self.shape)

        def form(parts):
            first, filter, second = parts
            field = second(first(points) * apply(filter, drive, key))
            return (field.real**2 + field.imag**2).reshape(pixels, pixels).T

        response = sum_modes((self.first, self.filter, self.second), form, linear=False)
        return response, scale

    def stages(self) -> tuple[Stage, ...]:
        """The modulator, the filter and the camera."""
        return (
            Stage("slm", self.slm, is_modulator=True, phase_only=True),
            Stage("filter", self.filter, is_modulator=True),
            Stage("camera", self.camera, is_modulator=False, metering=True),
        )


def _square(gain: Array) -> Array:
    """|gain|², of amplitudes, as a gain of powers."""
    return gain.real**2 + gain.imag**2


def _convolve_exactly(x: Array, w: Array) -> Array:
    """The circular convolution of real planes around pixel n//2 of both."""
    spectrum = jnp.fft.rfft2(x) * jnp.fft.rfft2(jnp.fft.ifftshift(w, (-2, -1)))
    return jnp.fft.irfft2(spectrum, s=x.shape[-2:])


def _one_where_zero(a: Array) -> Array:
    return jnp.where(a == 0, 1, a)


def _chirp(shape: tuple[int, int]) -> Array:
    """A quadratic phase around pixel n//2, whose spectrum is flat along an even number of pixels."""
    rows, cols = (jnp.exp(1j * jnp.pi * (jnp.arange(n) - n // 2) ** 2 / n) for n in shape)
    return rows[:, None] * cols
