"""The likelihood of a recording, as a function of the numbers that are fitted."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, PyTree

from optics.device import FourierProcessor, modulate
from optics.effects import Effect, Noise, Quantize, Saturate
from optics.transfer import FourierLens, MaskedFFT, Propagation, Separable, compile_transfer, keep_propagation
from optics.twin._parameters import FreeParameters
from optics.twin._recording import Recording

# A pixel whose expected value lies this many standard deviations from an end of the scale is never cut off
# there.
CLEARANCE_DEVIATIONS = 4.0

# Of a panel whose lens is fitted: as many masks hold the slopes of its aberrations.
FEWEST_MASKS = 16


class FrameStatistics(NamedTuple):
    """Frames as a camera with noise gives them, pixel by pixel.

    Attributes:
        mean: expected value, in units of full scale.
        variance: of the noise, in units of full scale squared.
        in_range: the mean keeps its distance from the full well and from the ends of a converter, so that
            none of them cuts the noise off.
    """

    mean: Float[Array, "*frames"]
    variance: Float[Array, "*frames"]
    in_range: Bool[Array, "*frames"]


def frame_statistics(
    device: FourierProcessor,
    drive: Inexact[Array, "count exposures slm_rows slm_cols"],
    full_scale: Float[Array, "count exposures 1 1"],
) -> FrameStatistics:
    """Mean and variance of the frames of a drive, each (count, exposures, frames, rows, columns).

    noise:            variance += its own
    Quantize:         variance += step² / 12, and no rounding: the noise dithers it
    Gain and others:  mean -> effect(mean),   variance -> variance · slope²
    """
    light = modulate(device.encoder, device.slm, device.transfer, drive, None)
    return propagate_camera(device.camera, device.measurement.frames(device.transfer(light) / full_scale))


def propagate_camera(camera: Sequence[Effect], mean: Float[Array, "*frames"]) -> FrameStatistics:
    """The statistics of frames without noise behind the effects of a camera."""
    variance, in_range = jnp.zeros_like(mean), jnp.ones(mean.shape, bool)
    for effect in camera:
        clearance = CLEARANCE_DEVIATIONS * jnp.sqrt(jnp.maximum(jax.lax.stop_gradient(variance), 0))
        if isinstance(effect, Noise):
            variance = variance + effect.variance(mean)
        elif isinstance(effect, Saturate):
            in_range = in_range & (jnp.abs(mean) + clearance <= effect.level)
        elif isinstance(effect, Quantize):
            lowest, highest = effect.level_range(mean.dtype)
            in_range = in_range & (mean - clearance >= (lowest - 0.5) / highest)
            in_range = in_range & (mean + clearance <= 1 + 0.5 / highest)
            variance = variance + 1 / (12 * highest**2)
        else:
            mean, slope = jax.jvp(
                lambda value, effect=effect: effect(value, None), (mean,), (jnp.ones_like(mean),)
            )
            variance = variance * slope**2
    return FrameStatistics(mean, variance, in_range)


class Likelihood(eqx.Module):
    """A device, a recording of its bench, and the numbers that may differ between them.

    Arguments:
        device: where the fit starts.
        recording: of the bench.
        parameters: the numbers that are fitted.
        responsive: pixels of the camera that respond at all, shape (rows, columns).
        terms: of the compiled transfer, for more than 16 pixels a side.
    """

    device: FourierProcessor
    recording: Recording
    parameters: FreeParameters
    responsive: Bool[Array, "rows cols"]
    terms: int | None = eqx.field(static=True, default=None)

    def statistics(self, vector: Float[Array, " free"]) -> FrameStatistics:
        """The statistics of the recording's frames for other numbers; unresponsive pixels do not count."""
        device = self.device_at(vector)
        mean, variance, in_range = frame_statistics(device, self.recording.drive, self.recording.full_scale)
        return FrameStatistics(mean, variance, in_range & self.responsive)

    def device_at(self, vector: Float[Array, " free"]) -> FourierProcessor:
        """The device with other numbers, its transfer compiled."""
        device = self.parameters.put(self.device, vector)
        if not isinstance(device.transfer, FourierLens):
            return device
        index = np.flatnonzero(self.parameters.is_lens())
        if not index.size:
            return eqx.tree_at(lambda d: d.transfer, device, compile_lens(device.transfer, self.terms))

        # Only the numbers of the lens go through the wave optics, and each only once a step.
        def compile_at(likelihood, numbers):
            parameters = likelihood.parameters
            vector = parameters.vector(likelihood.device).at[index].set(numbers)
            return compile_lens(parameters.put(likelihood.device, vector).transfer, likelihood.terms)

        transfer = call_with_jacobian(compile_at, self, vector[index])
        return eqx.tree_at(lambda d: d.transfer, device, transfer)


def compiled_terms(transfer: Callable) -> int | None:
    """How many terms a lens is compiled to; None if it is compiled to a matrix, 0 if its propagation is
    kept.
    """
    if not isinstance(transfer, FourierLens):
        return None
    compiled = compile_transfer(transfer)
    if isinstance(compiled, MaskedFFT):
        return max(FEWEST_MASKS, compiled.masks_in.shape[0])
    if isinstance(compiled, Propagation):
        return 0
    return compiled.rows.shape[0] if isinstance(compiled, Separable) else None


def compile_lens(lens: FourierLens, terms: int | None) -> Callable:
    """The lens as `compiled_terms` counts it."""
    return keep_propagation(lens) if terms == 0 else compile_transfer(lens, terms)


def call_with_jacobian(function: Callable, constants: PyTree, numbers: Float[Array, " n"]) -> PyTree:
    """`function(constants, numbers)`, a pytree of arrays, whose derivative is a product with its Jacobian.

    The function is differentiated along its own few numbers only, for any number of tangents; no derivative
    flows to the constants.
    """
    arrays, static = eqx.partition(constants, eqx.is_array)
    structure = jax.tree.structure(jax.eval_shape(lambda numbers: function(constants, numbers), numbers))

    def result_leaves(arrays, numbers):
        return jax.tree.leaves(function(eqx.combine(arrays, static), numbers))

    differentiable = jax.custom_jvp(result_leaves)

    @differentiable.defjvp
    def rule(primals, tangents):
        def value_twice(numbers):
            value = result_leaves(primals[0], numbers)
            return value, value

        slopes, value = jax.jacfwd(value_twice, has_aux=True)(primals[1])
        return value, [jnp.tensordot(slope, tangents[1].astype(slope.dtype), 1) for slope in slopes]

    return jax.tree.unflatten(structure, differentiable(arrays, numbers))
