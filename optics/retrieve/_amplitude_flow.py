"""Retrieval by gradient descent."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from optics._check import as_leaf, check_range
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._search import search


def amplitude_flow(
    amplitude: Any,
    support: Any,
    iterations: Any = 500,
    *,
    rate: Any = 1.0,
    momentum: Any = 0.9,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    nonnegative: bool = True,
    forward: Any = None,
) -> Retrieved:
    """Find an object by descending along the gradient of the misfit of amplitudes, with momentum.

        L(x) = ½ ‖ |F x| − A ‖²
        v = x + momentum (x − x_before),   x -> P_S(v − rate/‖F‖² · F†(u − A u/|u|)),   u = F v

    F†(u − A u/|u|) is the Wirtinger gradient of L. With rate 1 and no momentum this is error reduction; momentum makes it
    converge some 1/(1 − momentum) times faster. From a random start it stops in local minima as that does: start it
    from what `hio` or `raar` found. The gradient of the result flows through every iteration (`iterations` must be
    static); `implicit_gradient` has it without them.

    Arguments:
        amplitude, support, iterations, key, start, restarts, nonnegative, forward: as in `hio`.
        rate: in units of the largest rate at which L never grows, in (0, 2], scalar.
        momentum: in [0, 0.999], scalar.

    Returns:
        `Retrieved(object, field, residual)`.

    Raises:
        ValueError: as in `hio`, or `rate` or `momentum` out of range.

    Source: E. J. Candès, X. Li and M. Soltanolkotabi, IEEE Trans. Inf. Theory 61, 1985 (2015); for amplitudes G. Wang,
        G. B. Giannakis and Y. C. Eldar, IEEE Trans. Inf. Theory 64, 773 (2018); momentum as in Y. Nesterov,
        Introductory Lectures on Convex Optimization (2004), section 2.2.
    """
    check_range("rate", rate, 0.0, 2.0, open_low=True)
    check_range("momentum", momentum, 0.0, 0.999)
    numbers = (as_leaf(rate), as_leaf(momentum))
    return search(
        _descend, numbers, amplitude, support, iterations, 0, key, start, restarts, nonnegative, forward
    )


def _descend(
    state: tuple[Array, Array], fit: Callable, allowed: Callable, rate: Array, momentum: Array
) -> tuple[Array, Array]:
    x, before = state
    v = x + momentum * (x - before)
    v = v + rate * (fit(v) - v)
    return jnp.where(allowed(v), v, 0), x
