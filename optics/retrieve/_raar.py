"""Relaxed averaged alternating reflections."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from optics._check import as_leaf, check_range
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._search import search


def raar(
    amplitude: Any,
    support: Any,
    beta: Any = 0.99,
    iterations: Any = 1000,
    *,
    polish: Any = 20,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    nonnegative: bool = True,
    forward: Any = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by relaxed averaged alternating reflections.

        x -> β/2 (R_S R_M + 1) x + (1 − β) P_M x,   R = 2 P − 1

    P_M gives the transform of x the measured amplitude, P_S sets x to zero outside the support and where it is
    negative. β = 1 is the averaged reflections without relaxation, which find most and settle least where there is
    noise; a smaller β settles nearer, and below some 0.95 it stops at wrong objects when they fill their support.
    Ambiguities, arguments and results are those of `hio`.

    Arguments:
        amplitude, support, iterations, polish, key, start, restarts, nonnegative, forward: as in `hio`.
        beta: β, relaxation in [0.5, 1], scalar.

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`.

    Source: D. R. Luke, Inverse Problems 21, 37 (2005).
    """
    check_range("beta", beta, 0.5, 1.0)
    return search(
        _relaxed,
        (as_leaf(beta),),
        amplitude,
        support,
        iterations,
        polish,
        key,
        start,
        restarts,
        nonnegative,
        forward,
    )


def _relaxed(
    state: tuple[Array, Array], fit: Callable, allowed: Callable, beta: Array
) -> tuple[Array, Array]:
    x, unused = state
    y = fit(x)
    # β/2 (R_S R_M + 1) x = β (P_S(2y − x) − y + x), the reflection through the amplitude being 2y − x.
    reflected = 2 * y - x
    return beta * (jnp.where(allowed(reflected), reflected, 0) - y + x) + (1 - beta) * y, unused
