"""Gerchberg–Saxton: the phase from amplitudes in two planes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._check import as_plane, check_finite
from optics.retrieve import _checks as refuse
from optics.retrieve._planes import adjoint, dft
from optics.retrieve._retrieved import Retrieved, best, distance, norm, phase


def gerchberg_saxton(
    source_amplitude: Any,
    target_amplitude: Any,
    iterations: Any = 100,
    *,
    key: Array | None = None,
    start: Any = None,
    restarts: int = 1,
    forward: Any = None,
) -> Retrieved:
    """Find the phase that takes a given amplitude in one plane to a given amplitude in another.

        u = F(S exp(iφ)),   φ -> arg F†(T u / |u|)

    The same iteration retrieves a phase from two measured amplitudes and designs a phase hologram. The target is
    scaled to the light that there is: the residual is ‖ |u|/‖u‖ − T/‖T‖ ‖, which never grows where F is unitary. φ
    is known up to a constant.

    Arguments:
        source_amplitude: S, shape (..., rows, columns) or (rows, columns), any unit.
        target_amplitude: T, shape (..., rows, columns), any unit; leading axes broadcast with the source's.
        iterations: at least 1; static, or traced (without reverse-mode gradient then).
        key: `jax.random.key` of the random starts, consumed.
        start: φ to start from, rad, shape of S exp(iφ); instead of `key`.
        restarts: random starts, of which the one with the smallest residual is returned; static.
        forward: F, linear map between the planes, acting on the last two axes; None is `dft`.

    Returns:
        `Retrieved(object, field, residual)` with object = S exp(iφ) and field = F object.

    Raises:
        ValueError: amplitudes that are complex, negative or not finite or whose planes do not fit; `iterations` or
            `restarts` not whole; neither or both of `key` and `start`, or a `start` of another shape.

    Source: R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972).
    """
    source, target, start = given(
        source_amplitude, target_amplitude, iterations, key, start, restarts, forward
    )
    return _alternate(source, target, iterations, key, start, restarts, forward)


def given(
    source: Any, target: Any, iterations: Any, key: Any, start: Any, restarts: int, forward: Any
) -> tuple[Any, Any, Any]:
    """The arguments as arrays (source and target with the same leading axes), refused when they do not fit."""
    source, target = (
        refuse.amplitudes("source_amplitude", source),
        refuse.amplitudes("target_amplitude", target),
    )
    try:
        lead = jnp.broadcast_shapes(source.shape[:-2], target.shape[:-2])
    except ValueError:
        raise ValueError(
            f"`source_amplitude` and `target_amplitude` must broadcast in their leading axes, got {source.shape} and {target.shape}."
        ) from None
    source, target = (jnp.broadcast_to(a, (*lead, *a.shape[-2:])) for a in (source, target))
    refuse.shapes(forward, source.shape, target, "target_amplitude", "source_amplitude")
    refuse.count("iterations", iterations)
    refuse.one_start(key, start, restarts)
    if start is not None:
        check_finite("start", start, "rad")
        start = as_plane("start", start)
        if start.shape != source.shape:
            raise ValueError(f"`start` must be phases of the shape {source.shape}, got {start.shape}.")
    return source, target, start


def begin(source: Array, key: Any, start: Any, restarts: int) -> Inexact[Array, "tries *lead rows cols"]:
    """The source with its phases to start from, tries along the first axis."""
    phases = (
        2 * jnp.pi * jax.random.uniform(key, (restarts, *source.shape), source.dtype)
        if start is None
        else start[None]
    )
    return source * jnp.exp(1j * phases)


def scaled_result(x: Array, target: Float[Array, "*lead rows cols"], forward: Callable) -> Retrieved:
    """The best of tries along the first axis, the target scaled to each one's light."""
    u = forward(x)
    light, asked = norm(u, keepdims=True), norm(target, keepdims=True)
    return best(Retrieved(x, u, distance(u, target * (light / jnp.where(asked > 0, asked, 1)))))


@eqx.filter_jit
def _alternate(source, target, iterations, key, start, restarts, forward):
    forward = dft if forward is None else forward
    x = begin(source, key, start, restarts)
    backward = adjoint(forward, x)
    x = jax.lax.fori_loop(0, iterations, lambda _, x: source * phase(backward(target * phase(forward(x)))), x)
    return scaled_result(x, target, forward)
