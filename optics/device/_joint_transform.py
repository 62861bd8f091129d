"""The joint transform correlator: both arrays side by side, and a camera between two transforms."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from optics._check import as_leaf, check_range, check_shape
from optics.detect import Coherent, Intensity
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
from optics.encode import ComplexAmplitude, complex_amplitude
from optics.transfer import pixel_shape

_POWER = Intensity(lambda amplitude: amplitude)


class JointTransform(eqx.Module):
    """A joint transform correlator: x and w on one modulator, their joint power spectrum on a camera, and back again.

        J = |F (x̃ + w shifted by D)|²,   x̃[n] = conj(x[−n]),   D = 2 columns − 1
        (F J)[−i − D] = (x ∗ w)[i] / √(pixels of the modulator)

    No filter must be computed or aligned: the interference of the two spectra is their product. The camera measures the
    joint power spectrum, which is shown on the modulator and transformed once more; of the three terms that appear
    (x̃ and w with themselves in the middle, and the convolution on either side), one is read. It is the linear
    convolution, and is added up to the circular one.

    Arguments:
        optics: the transform, of at least 6 · columns − 3 columns, and of `rows` or at least 2 · rows − 1 rows.
        shape: (rows, columns) of the arrays.
        measurement: of the second transform: light -> frames -> field.
        slm: effects on the modulator, in both passes.
        camera: effects on the frame of the joint power spectrum, in units of full scale.
        detector: effects on the frames of the second transform; by default those of `camera`.
        pre, post: calibrated gains of the optics, as `calibrate` finds for a `FourierProcessor`: on what the modulator
            shows, and on the power spectrum (squared) and the field that are measured; scalar or of the optics' shape.
        headroom: full scale over the brightest possible field, at least 1.

    Raises:
        ValueError: gains not finite or of another shape, optics too small for `shape`, `headroom` below 1, what is no
            measurement, or an effect where it has no meaning.

    Source: C. S. Weaver and J. W. Goodman, Appl. Opt. 5, 1248 (1966).
    """

    optics: Callable
    shape: tuple[int, int] = eqx.field(static=True)
    measurement: eqx.Module
    slm: tuple[Effect, ...]
    camera: tuple[Effect, ...]
    detector: tuple[Effect, ...]
    pre: Array
    post: Array
    headroom: Array

    def __init__(
        self,
        optics: Callable,
        shape: Any,
        measurement: Any = None,
        slm: Any = (),
        camera: Any = (),
        detector: Any = None,
        pre: Any = 1.0,
        post: Any = 1.0,
        headroom: Any = 1.05,
    ):
        measurement = Coherent() if measurement is None else measurement
        check_measurement(measurement)
        check_modulator("slm", slm)
        check_camera("camera", camera, _POWER)
        detector = camera if detector is None else detector
        check_camera("detector", detector, measurement)
        check_range("headroom", headroom, 1.0, math.inf)
        rows, cols = pixel_shape(shape)
        plane = optics.shape
        if plane[1] < 6 * cols - 3 or not (plane[0] == rows or plane[0] >= 2 * rows - 1):
            raise ValueError(
                f"`optics` must have at least {6 * cols - 3} columns, and {rows} or at least {2 * rows - 1} rows, for arrays of "
                f"{rows}×{cols}, got {plane[0]}×{plane[1]}."
            )
        self.optics, self.shape, self.measurement = optics, (rows, cols), measurement
        self.slm, self.camera, self.detector = tuple(slm), tuple(camera), tuple(detector)
        self.pre, self.post, self.headroom = as_leaf(pre), as_leaf(post), as_leaf(headroom)
        for name in ("pre", "post"):
            check_gain(name, getattr(self, name), optics.shape)

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both: arguments and result as those of `FourierProcessor.convolve`."""
        check_shape("x", x, self)
        check_shape("w", w, self)
        first, second = (None, None) if key is None else jax.random.split(key)
        real = not (jnp.iscomplexobj(x) or jnp.iscomplexobj(w))
        (x, of_x), (w, of_w) = complex_amplitude(jnp.conj(reversed_about_axis(x))), complex_amplitude(w)
        power, of_power = self._power(self._side_by_side(x, w), first)
        out, of_out = self._field(power, second, real)
        plane = math.sqrt(math.prod(self.optics.shape))
        return plane * self._read(out) * (of_power**2 * of_out * of_x * of_w)

    def _power(self, a: Array, key: Array | None) -> tuple[Array, Array]:
        """The frame of the joint power spectrum, and the field of full scale."""
        frames, reach = self._frames(a, _POWER, self.camera, key, False)
        return frames[..., 0, 0, :, :] * jnp.abs(self.post) ** 2, reach

    def _field(self, a: Array, key: Array | None, real: bool) -> tuple[Array, Array]:
        """The field of the second transform in units of full scale, and the field of full scale."""
        frames, reach = self._frames(a, self.measurement, self.detector, key, real)
        found = self.measurement.field(frames)[..., 0, :, :] * self.post
        return (found.real if real else found), reach

    def _frames(
        self, a: Array, measurement: Any, camera: tuple[Effect, ...], key: Array | None, real: bool
    ) -> tuple[Array, Array]:
        on_slm, on_camera = (None, None) if key is None else jax.random.split(key)
        light, known, scale = lit(ComplexAmplitude(), self.slm, self.optics, a * self.pre, on_slm)
        reach = exposed(self.optics.peak * jnp.sum(known, axis=(-2, -1), keepdims=True), self.headroom)
        field = self.optics(light, in_phase=real and measurement.one_quadrature)
        return apply(camera, measurement.frames(field / reach), on_camera), reach[..., 0, :, :] * scale

    def _side_by_side(self, x: Array, w: Array) -> Array:
        """x on the left and w on the right of the middle of the modulator, D columns apart."""
        lead = jnp.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        (rows, cols), plane = self.shape, self.optics.shape
        top = plane[0] // 2 - rows // 2
        left = plane[1] // 2 - (2 * cols - 1) // 2 - cols // 2
        joint = jnp.zeros((*lead, *plane), jnp.result_type(x, w))
        for a, start in ((x, left), (w, left + 2 * cols - 1)):
            joint = joint.at[..., top : top + rows, start : start + cols].set(
                jnp.broadcast_to(a, (*lead, rows, cols))
            )
        return joint

    def _read(self, out: Array) -> Array:
        """Take the convolution from its side of the output and add up what a circular one adds up."""
        (rows, cols), plane = self.shape, self.optics.shape
        wraps = plane[0] == rows
        row = np.arange(rows) - rows // 2 if wraps else np.arange(-rows + 1, rows)
        col = np.arange(-cols + 1, cols)
        at_row, at_col = (plane[0] // 2 - row) % plane[0], (plane[1] // 2 - col - (2 * cols - 1)) % plane[1]
        linear = out[..., at_row, :][..., at_col]
        folded = (
            jnp.zeros((*out.shape[:-2], rows, linear.shape[-1]), out.dtype)
            .at[..., (row + rows // 2) % rows, :]
            .add(linear)
        )
        return (
            jnp.zeros((*out.shape[:-2], rows, cols), out.dtype).at[..., (col + cols // 2) % cols].add(folded)
        )
