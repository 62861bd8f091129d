"""The likelihood of a recording, as a function of the numbers that are fitted."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact

from optics.device import FourierProcessor, modulate
from optics.effects import Effect, Noise, Quantize, Saturate
from optics.effects._quantize import power_of_two
from optics.transfer import FourierLens, Separable, compile_transfer
from optics.twin._parameters import Leaves
from optics.twin._recording import Recording

# A pixel whose expected value lies this many standard deviations from an end of the scale is never cut off there.
CLEAR = 4.0


def expected(
    device: FourierProcessor,
    drive: Inexact[Array, "count exposures driverows drivecols"],
    full_scale: Float[Array, "count exposures 1 1"],
) -> tuple[Float[Array, "*frames"], Float[Array, "*frames"], Bool[Array, "*frames"]]:
    """Mean and variance of the frames of a drive, and which pixels the ends of the scale leave alone.

        noise:            variance += its own
        Quantize:         variance += step² / 12, and no rounding: the noise dithers it
        Gain and others:  mean -> effect(mean),   variance -> variance · slope²

    Returns:
        mean in units of full scale, its square, and True where the mean keeps `CLEAR` standard deviations from the full
        well and from the first and last level of a converter; each (count, exposures, shots, rows, columns).
    """
    light = modulate(device.encoder, device.slm, device.transfer, drive, None)
    return _through(device.camera, device.measurement.frames(device.transfer(light) / full_scale))


def _through(camera: Sequence[Effect], mean: Array) -> tuple[Array, Array, Array]:
    variance, clear = jnp.zeros_like(mean), jnp.ones(mean.shape, bool)
    for effect in camera:
        far = CLEAR * jnp.sqrt(jnp.maximum(jax.lax.stop_gradient(variance), 0))
        if isinstance(effect, Noise):
            variance = variance + effect.variance(mean)
        elif isinstance(effect, Saturate):
            clear = clear & (jnp.abs(mean) + far <= effect.level)
        elif isinstance(effect, Quantize):
            count = power_of_two(effect.bits - 1 if effect.signed else effect.bits).astype(mean.dtype)
            largest = jnp.maximum(count - 1, 1)
            lowest = (-count if effect.signed else 0) - 0.5
            clear = clear & (mean - far >= lowest / largest) & (mean + far <= 1 + 0.5 / largest)
            variance = variance + 1 / (12 * largest**2)
        else:
            mean, slope = jax.jvp(
                lambda value, effect=effect: effect(value, None), (mean,), (jnp.ones_like(mean),)
            )
            variance = variance * slope**2
    return mean, variance, clear


def separable_terms(transfer: Callable) -> int | None:
    """How many row ⊗ column products a lens needs where it is compiled to a sum of them; None otherwise."""
    if not isinstance(transfer, FourierLens):
        return None
    compiled = compile_transfer(transfer)
    return jax.tree.leaves(compiled)[0].shape[0] if isinstance(compiled, Separable) else None


class Likelihood(eqx.Module):
    """A device, a recording of its twin, and the numbers that may differ between them.

    Arguments:
        device: where the fit starts.
        recording: what is fitted.
        leaves: which numbers are fitted.
        live: pixels of the camera that answer at all, shape (rows, columns).
        terms: of the compiled optics, for more than 16 pixels a side.
    """

    device: FourierProcessor
    recording: Recording
    leaves: Leaves
    live: Bool[Array, "rows cols"]
    terms: int | None = eqx.field(static=True, default=None)

    def at(self, vector: Float[Array, " free"]) -> FourierProcessor:
        """The device with other numbers, its optics compiled."""
        device = self.leaves.put(self.device, vector)
        if not isinstance(device.transfer, FourierLens):
            return device
        of_lens = np.repeat(self.leaves.of_lens(), self.leaves.counts)
        if not np.any(of_lens):
            return eqx.tree_at(lambda d: d.transfer, device, compile_transfer(device.transfer, self.terms))
        # Only the numbers of the lens go through the wave optics, and each only once a step.
        index = np.flatnonzero(of_lens)

        def transfer(problem, numbers):
            vector = problem.leaves.vector(problem.device).at[index].set(numbers)
            return compile_transfer(problem.leaves.put(problem.device, vector).optics, problem.terms)

        return eqx.tree_at(lambda d: d.transfer, device, by_jacobian(transfer, self, vector[index]))

    def expected(self, vector: Float[Array, " free"]) -> tuple[Array, Array, Array]:
        """Mean, variance and which numbers count, shape of the recording's frames each."""
        mean, variance, clear = expected(self.at(vector), self.recording.drive, self.recording.full_scale)
        return mean, variance, clear & self.live


def by_jacobian(function: Callable, given: Any, numbers: Float[Array, " n"]) -> Any:
    """`function(given, numbers)`, a pytree of arrays, whose derivative along `numbers` is a product with its Jacobian.

    Whatever the number of tangents that go through, the function itself is differentiated only along its own few numbers.
    """
    arrays, rest = eqx.partition(given, eqx.is_array)
    plain = jax.tree.structure(jax.eval_shape(lambda numbers: function(given, numbers), numbers))

    def leaves(arrays, numbers):
        return jax.tree.leaves(function(eqx.combine(arrays, rest), numbers))

    found = jax.custom_jvp(leaves)

    @found.defjvp
    def rule(primals, tangents):
        def once(numbers):
            value = leaves(primals[0], numbers)
            return value, value

        slopes, value = jax.jacfwd(once, has_aux=True)(primals[1])
        return value, [jnp.tensordot(slope, tangents[1].astype(slope.dtype), 1) for slope in slopes]

    return jax.tree.unflatten(plain, found(arrays, numbers))
