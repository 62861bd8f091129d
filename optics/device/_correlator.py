"""The 4f correlator: two lenses and a filter between them."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_range, check_shape
from optics.detect import Coherent
from optics.device._exposure import (
    check_camera,
    check_gain,
    check_measurement,
    check_modulator,
    exposed,
    lit,
    reversed_about_axis,
)
from optics.effects import Effect, apply
from optics.encode import ComplexAmplitude, Encoder, complex_amplitude
from optics.transfer import dft


class Correlator(eqx.Module):
    """A 4f correlator: the kernel's spectrum is a filter that light passes on its way through two lenses.

        y = scale · measurement.field(camera(measurement.frames(second(filter(F w) · first(slm(encode(x)))))))

    The spectrum of the kernel is computed in electronics; with a fixed kernel a convolution is one exposure. Two lenses
    forwards turn the plane upside down, which the readout undoes. A filter pixel passes the mode of its own square.

    Full scale is `headroom` times a bound on the output by the Cauchy-Schwarz inequality,
    peak · ‖filter(drive)‖₂ · ‖slm(drive)‖₂: lenses are passive, so the signal never saturates.

    Arguments:
        first: modulator -> filter, `Dense`, `Separable` or `FourierLens`.
        second: filter -> detector; by default `first` again.
        measurement: light -> frames -> field.
        slm, filter: effects on the two modulators, on amplitudes in units of the brightest pixel.
        camera: effects on the frames.
        pre, post: calibrated gains of one lens, as `calibrate` finds for a `FourierProcessor`: on the numbers before,
            between (in the filter, as post · pre) and after; scalar or (rows, columns), dimensionless.
        headroom: full scale over the brightest possible field, at least 1.
        encoder: numbers -> light.
        encode_filter: spectrum -> (drive, scale): `optics.encode.complex_amplitude`, or `phase_only`, for which the kernel
            that x is convolved with has the phases of F w and amplitude 1.

    Raises:
        ValueError: optics of different shapes, `headroom` below 1, gains not finite or of another shape, what is no
            measurement or encoder, or an effect where it has no meaning.

    Source: A. VanderLugt, IEEE Trans. Inf. Theory 10, 139 (1964); for phase-only filters J. L. Horner and P. D. Gianino,
        Appl. Opt. 23, 812 (1984).
    """

    first: Callable
    second: Callable
    measurement: eqx.Module
    slm: tuple[Effect, ...]
    filter: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    pre: Array
    post: Array
    headroom: Array
    encoder: Encoder
    encode_filter: Callable = eqx.field(static=True)

    def __init__(
        self,
        first: Callable,
        second: Any = None,
        measurement: Any = None,
        slm: Any = (),
        filter: Any = (),
        camera: Any = (),
        pre: Any = 1.0,
        post: Any = 1.0,
        headroom: Any = 1.05,
        encoder: Any = None,
        encode_filter: Callable = complex_amplitude,
    ):
        measurement = Coherent() if measurement is None else measurement
        encoder = ComplexAmplitude() if encoder is None else encoder
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_modulator("filter", filter)
        check_camera("camera", camera, measurement)
        if not isinstance(encoder, Encoder):
            raise ValueError(
                f"`encoder` must be one, such as `optics.encode.ComplexAmplitude()`, got {encoder!r}."
            )
        self.first, self.second = first, first if second is None else second
        self.measurement, self.encoder, self.encode_filter = measurement, encoder, encode_filter
        self.slm, self.filter, self.camera = tuple(slm), tuple(filter), tuple(camera)
        self.pre, self.post, self.headroom = as_leaf(pre), as_leaf(post), as_leaf(headroom)

    def __check_init__(self):
        check_range("headroom", self.headroom, 1.0, math.inf)
        if self.first.shape != self.second.shape:
            raise ValueError(
                f"`first` and `second` must have the same pixels, got {self.first.shape} and {self.second.shape}."
            )
        if getattr(self.second, "subpixels", 1) != 1:
            raise ValueError(
                f"`second` must start from whole pixels, got {self.second.subpixels} `subpixels`; only `first` may divide them."
            )
        for name in ("pre", "post"):
            check_gain(name, getattr(self, name), self.shape)
        jax.eval_shape(
            lambda device: lit(device.encoder, device.slm, device.first, jnp.zeros(device.shape), None), self
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of modulators and detector."""
        return self.first.shape

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: arguments and result as those of `FourierProcessor.convolve`."""
        check_shape("x", x, self)
        check_shape("w", w, self)
        on_slm, on_filter, on_camera = (None,) * 3 if key is None else jax.random.split(key, 3)
        real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
        light, known, scale = lit(self.encoder, self.slm, self.first, x * self.pre, on_slm)
        drive, of_filter = self.encode_filter(dft(self.shape)(w))
        drive, of_gain = complex_amplitude(drive * (self.post * self.pre))
        passing, nominal = (apply(self.filter, drive, k)[..., None, :, :] for k in (on_filter, None))
        bound = self.second.peak * _norm(jax.lax.stop_gradient(nominal)) * _norm(known)
        reach = exposed(bound, self.headroom)
        one = (
            real
            and self.measurement.one_quadrature
            and self.encoder.in_phase
            and not jnp.iscomplexobj(self.post)
        )
        field = self.second(self.first(light) * passing, in_phase=one)
        frames = apply(self.camera, self.measurement.frames(field / reach), on_camera)
        found = reversed_about_axis(self.encoder.combine(self.measurement.field(frames) * reach))
        # The detector's gains belong to its own pixels, before the picture is turned.
        found = found * (
            reversed_about_axis(jnp.broadcast_to(self.post, self.shape)) * scale * of_filter * of_gain
        )
        found = math.sqrt(math.prod(self.shape)) * found
        return found.real if real else found


def phase_only(
    spectrum: Complex[Array, "*lead rows cols"],
) -> tuple[Complex[Array, "*lead rows cols"], Float[Array, "*lead 1 1"]]:
    """Encode a filter on a modulator of phase alone: its amplitudes are lost.

        drive = spectrum / |spectrum|   (1 where it is zero),   scale = 1

    Arguments:
        spectrum: shape (..., rows, columns), any unit.

    Returns:
        drive of modulus 1, same shape; scale of ones, shape (..., 1, 1).

    Source: Horner and Gianino (1984).
    """
    power = spectrum.real**2 + spectrum.imag**2
    dark = power == 0
    drive = jnp.where(dark, 1, spectrum / jnp.sqrt(jnp.where(dark, 1, power)))
    return drive, jnp.ones((*spectrum.shape[:-2], 1, 1), power.dtype)


def _norm(light: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead 1 1"]:
    return jnp.sqrt(jnp.sum(jnp.abs(light) ** 2, axis=(-2, -1), keepdims=True))
