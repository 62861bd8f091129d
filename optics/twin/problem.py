"""The likelihood of a recording, as a function of the numbers that are fitted."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from optics.device import FourierProcessor
from optics.transfer import FourierLens, compile_transfer
from optics.twin.expected import expected
from optics.twin.leaves import Leaves
from optics.twin.recording import Recording


class Problem(eqx.Module):
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
        if not isinstance(device.optics, FourierLens):
            return device
        of_lens = np.repeat(self.leaves.of_lens(), self.leaves.counts)
        if not np.any(of_lens):
            return eqx.tree_at(lambda d: d.optics, device, compile_transfer(device.optics, self.terms))
        # Only the numbers of the lens go through the wave optics, and each only once a step.
        index = np.flatnonzero(of_lens)

        def transfer(problem, numbers):
            vector = problem.leaves.vector(problem.device).at[index].set(numbers)
            return compile_transfer(problem.leaves.put(problem.device, vector).optics, problem.terms)

        return eqx.tree_at(lambda d: d.optics, device, by_jacobian(transfer, self, vector[index]))

    def expected(self, vector: Float[Array, " free"]) -> tuple[Array, Array, Array]:
        """Mean, variance and which numbers count, shape of the recording's frames each."""
        mean, variance, clear = expected(self.at(vector), self.recording.drive, self.recording.reach)
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
