"""The record of a retrieval from amplitudes in two planes."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane, check_finite
from optics._numerics import safe_divide
from optics._typing import ArrayLike, CountLike, FunctionLike, KeyLike, ScalarLike
from optics.retrieve._checks import as_amplitude, check_count, check_forward, check_start
from optics.retrieve._retrieved import Retrieved, amplitude_misfit, best_try, norm
from optics.retrieve._transform import centred_dft


class TwoPlanes(eqx.Module):
    """Amplitudes in two planes, and where to start.

    Attributes:
        source: S, shape (..., rows, columns).
        target: T, with the leading axes of the source.
        forward: F, from the plane of S to that of T.
        key: of random phases to start from, or None.
        start: φ to start from, rad, shape of the source, or None.
        restarts: number of random starts.
    """

    source: Float[Array, "*lead rows cols"]
    target: Float[Array, "*lead out_rows out_cols"]
    forward: Callable
    key: Array | None
    start: Array | None
    restarts: int = eqx.field(static=True)

    def first_objects(self) -> Inexact[Array, "tries *lead rows cols"]:
        """S exp(iφ) of the phases to start from, tries along the first axis."""
        if self.start is not None:
            return self.source * jnp.exp(1j * self.start[None])
        turns = jax.random.uniform(self.key, (self.restarts, *self.source.shape), self.source.dtype)
        return self.source * jnp.exp(1j * (2 * jnp.pi * turns))

    def result(self, x: Inexact[Array, "tries *lead rows cols"]) -> Retrieved:
        """The best of the tries, the target scaled to the light of each."""
        u = self.forward(x)
        scaled = self.target * safe_divide(norm(u, keepdims=True), norm(self.target, keepdims=True))
        return best_try(Retrieved(x, u, amplitude_misfit(u, scaled)))


def as_two_planes(
    source: ArrayLike,
    target: ArrayLike,
    iterations: ScalarLike,
    key: KeyLike,
    start: ArrayLike | None,
    restarts: CountLike,
    forward: FunctionLike | None,
) -> TwoPlanes:
    """The record of the arguments of `gerchberg_saxton`, which are refused when they do not fit together."""
    source = as_amplitude("source_amplitude", source)
    target = as_amplitude("target_amplitude", target)
    try:
        lead = jnp.broadcast_shapes(source.shape[:-2], target.shape[:-2])
    except ValueError:
        raise ValueError(
            "`source_amplitude` and `target_amplitude` must broadcast in their leading axes, "
            f"got {source.shape} and {target.shape}."
        ) from None
    source, target = (jnp.broadcast_to(a, (*lead, *a.shape[-2:])) for a in (source, target))
    check_forward(forward, source.shape, target, "target_amplitude", "source_amplitude")
    check_count("iterations", iterations)
    check_start(key, start, restarts)
    if start is not None:
        check_finite("start", start, "rad")
        start = as_plane("start", start)
        if start.shape != source.shape:
            raise ValueError(f"`start` must be phases of the shape {source.shape}, got {start.shape}.")
    return TwoPlanes(source, target, centred_dft if forward is None else forward, key, start, restarts)
