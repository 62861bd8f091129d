"""Fienup's algorithms: error reduction and hybrid input–output."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from optics._check import as_leaf, check_range
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._search import reduction, search


def error_reduction(
    amplitude: Any,
    support: Any,
    iterations: Any = 200,
    *,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    nonnegative: bool = True,
    forward: Any = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by projecting onto the one and the other in turn.

        x -> P_S P_M x

    P_M gives the transform of x the measured amplitude, P_S sets x to zero outside the support and where it is
    negative. The residual never grows; it mostly stops far from the object, so this is for refining what `hio` or
    `raar` found. Ambiguities, arguments and results are those of `hio`.

    Arguments:
        amplitude, support, key, start, restarts, nonnegative, forward: as in `hio`.
        iterations: at least 1; static, or traced (without reverse-mode gradient then).

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`.

    Source: J. R. Fienup, Appl. Opt. 21, 2758 (1982), section III.
    """
    return search(
        reduction, (), amplitude, support, iterations, 0, key, start, restarts, nonnegative, forward
    )


def hio(
    amplitude: Any,
    support: Any,
    beta: Any = 0.9,
    iterations: Any = 1000,
    *,
    polish: Any = 20,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    nonnegative: bool = True,
    forward: Any = None,
) -> Retrieved:
    """Find an object of known support from the amplitude of its transform by hybrid input–output.

        y = P_M x,   x -> y where y is allowed,  x − β y elsewhere

    P_M gives the transform of x the measured amplitude; a sample is allowed within the support and, for objects that
    are known not to be negative, where it is not. For a transform with its samples at least twice as fine per axis as
    the support asks for, the object is unique but for a factor of modulus 1 (none where it is not negative), the
    conjugate object turned by 180° if the support allows it, and a shift if that does: see `error`. With a custom
    `forward` that is not unitary, P_M is the gradient step x − F†(u − A u/|u|)/‖F‖².

    Arguments:
        amplitude: √I, measured, shape (..., rows, columns), any unit, origin at sample n//2.
        support: where the object may be, boolean mask of the object's plane, shape (rows, columns).
        beta: β, feedback in (0, 2], scalar.
        iterations: at least 1; static, or traced (without reverse-mode gradient then).
        polish: final iterations of error reduction, at least 0, static or traced.
        key: `jax.random.key` of the random starts, consumed.
        start: object to start from, shape (..., rows, columns); instead of `key`.
        restarts: random starts, of which for each example the one with the smallest residual is returned; static.
        nonnegative: the object is real and not negative; False for a complex one.
        forward: linear map from the object's plane to the measured one, acting on the last two axes, such as the optics
            of a device; None is `dft`.

    Returns:
        `Retrieved(object, field, residual)`, the object real if `nonnegative`.

    Raises:
        ValueError: an amplitude that is complex, negative or not finite; a support that is empty, not boolean or of
            another shape; `beta` out of range; counts that are not whole; neither or both of `key` and `start`.

    Source: J. R. Fienup, Appl. Opt. 21, 2758 (1982), eq. 44; uniqueness: R. H. T. Bates, Optik 61, 247 (1982).
    """
    check_range("beta", beta, 0.0, 2.0, open_low=True)
    return search(
        _hybrid,
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


def _hybrid(state: tuple[Array, Array], fit: Callable, allowed: Callable, beta: Array) -> tuple[Array, Array]:
    x, unused = state
    y = fit(x)
    return jnp.where(allowed(y), y, x - beta * y), unused
