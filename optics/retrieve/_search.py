"""What the retrievals of an object from one amplitude and a support share."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane
from optics.retrieve import _checks as refuse
from optics.retrieve._planes import dft, enter, fit, leave
from optics.retrieve._retrieved import Retrieved, best, distance, norm


def search(
    rule: Callable,
    numbers: tuple[Any, ...],
    amplitude: Any,
    support: Any,
    iterations: Any,
    polish: Any,
    key: Any,
    start: Any,
    restarts: int,
    nonnegative: bool,
    forward: Any,
) -> Retrieved:
    """Iterate a rule from one or several starts and return the best of what they come to.

    Arguments:
        rule: (state, fit, allowed, *numbers) -> state, where a state is a pair of objects of which the first counts, fit
            steps an object towards the amplitude and allowed tells where an object is as it is known to be.
        numbers: of the rule, such as β.
        polish: final iterations of error reduction.
        others: as in `hio`.
    """
    amplitude, support = refuse.amplitudes("amplitude", amplitude), refuse.mask(support)
    refuse.shapes(forward, support.shape, amplitude, "amplitude", "support")
    refuse.count("iterations", iterations)
    refuse.count("polish", polish, 0)
    refuse.one_start(key, start, restarts)
    shape = (*amplitude.shape[:-2], *support.shape)
    if start is not None:
        start = as_plane("start", start)
        if start.shape != shape:
            raise ValueError(f"`start` must have the shape of the objects, {shape}, got {start.shape}.")
        if nonnegative and jnp.iscomplexobj(start):
            raise ValueError(
                f"`start` must be real, as the objects are, got {start.dtype}; take its real part."
            )
    return _run(
        rule, numbers, amplitude, support, iterations, polish, key, start, restarts, nonnegative, forward
    )


@eqx.filter_jit
def _run(rule, numbers, amplitude, support, iterations, polish, key, start, restarts, nonnegative, forward):
    kind = amplitude.dtype if nonnegative else jnp.result_type(amplitude, jnp.complex64)
    if start is None:
        start = _random(
            (restarts, *amplitude.shape[:-2], *support.shape), kind, support, amplitude, key, nonnegative
        )
    else:
        start = start.astype(kind)[None]
    inner, outer = (enter, leave) if forward is None else (lambda a: a, lambda a: a)
    measured, inside, x = inner(amplitude), inner(support), inner(start)
    step = fit(jnp.broadcast_to(measured, (*x.shape[:-2], *measured.shape[-2:])), forward, x)

    def allowed(x):
        return inside & (x >= 0) if nonnegative else inside

    state = jax.lax.fori_loop(0, iterations, lambda _, state: rule(state, step, allowed, *numbers), (x, x))
    state = jax.lax.fori_loop(0, polish, lambda _, state: reduction(state, step, allowed), state)
    x = state[0]
    return best(outcome(outer(x), amplitude, forward))


def reduction(state: tuple[Array, Array], fit: Callable, allowed: Callable) -> tuple[Array, Array]:
    """The rule of error reduction: fit, and set to zero what is not allowed."""
    y = fit(state[0])
    return jnp.where(allowed(y), y, 0), state[1]


def outcome(x: Inexact[Array, "*lead rows cols"], amplitude: Array, forward: Callable | None) -> Retrieved:
    """The result that an object is."""
    field = (dft if forward is None else forward)(x.astype(jnp.result_type(x, jnp.complex64)))
    return Retrieved(x, field, distance(field, amplitude))


def _random(shape, kind, support, amplitude, key, nonnegative):
    """Random objects on the support, as bright as the amplitudes are."""
    noise = jax.random.uniform(key, shape, kind) if nonnegative else jax.random.normal(key, shape, kind)
    noise = jnp.where(support, noise, 0)
    return noise * (norm(amplitude, keepdims=True) / norm(noise, keepdims=True))
