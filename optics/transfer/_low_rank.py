"""The best approximation of a linear map of given rank, from its action alone, with a derivative."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from optics._numerics import safe_divide

# Random directions beyond the terms asked for: their span then holds those terms to single precision.
EXTRA_DIRECTIONS = 10
POWER_ITERATIONS = 2
PROBES = 8


class TruncatedMap(NamedTuple):
    """M ≈ Σ_k left_k ⊗ right_k.

    Attributes:
        left: u_k, the left singular vectors.
        right: s_k conj(v_k).
        strengths: the singular values s_k, in falling order.
        residual: relative error by truncation (Frobenius norm), estimated with random probes to about a
            third.
    """

    left: Complex[Array, "terms out"]
    right: Complex[Array, "terms in"]
    strengths: Float[Array, " terms"]
    residual: Float[Array, ""]


def truncated_svd(
    forward: Callable[[Array], Array], backward: Callable[[Array], Array], size: int, terms: int
) -> TruncatedMap:
    """The first `terms` singular directions of a map M, by randomized singular value decomposition.

    The derivative is that of the truncated map whose singular vectors turn with M: dM projected on the maps
    that share its row space or its column space. The singular vectors themselves have no usable derivative
    where two strengths agree, and none is taken.

    Arguments:
        forward: rows of (count, in) -> rows of (count, out): M applied to each row.
        backward: the same for the transpose of M, rows of (count, out) -> (count, in).
        size: in.
        terms: the number of terms.

    Source: N. Halko, P. G. Martinsson and J. A. Tropp, SIAM Review 53, 217 (2011), algorithms 4.4 and 5.1.
    """
    count = min(terms + EXTRA_DIRECTIONS, size)
    fixed_forward, fixed_backward = (
        lambda rows, f=f: jax.lax.stop_gradient(f(rows)) for f in (forward, backward)
    )
    draws = jax.random.normal(jax.random.key(0), (count + PROBES, size))
    basis = _orthonormal_rows(fixed_forward(draws[:count]))
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal_rows(fixed_backward(jnp.conj(basis)).conj())
        basis = _orthonormal_rows(fixed_forward(basis))
    in_basis, strengths, v = jnp.linalg.svd(fixed_backward(jnp.conj(basis)), full_matrices=False)
    u = jax.lax.stop_gradient(in_basis[:, :terms].T @ basis)
    v = jax.lax.stop_gradient(jnp.conj(v[:terms]))
    strengths = jax.lax.stop_gradient(strengths[:terms])

    right = backward(jnp.conj(u))
    # Zero, with the slope of M v.
    change = forward(v)
    change = change - jax.lax.stop_gradient(change)
    across = change - (change @ jnp.conj(u).T) @ u
    left = u + safe_divide(across, strengths[:, None])

    probes = draws[count:]
    missed = fixed_forward(probes) - jax.lax.stop_gradient((probes @ right.T) @ left)
    error = jnp.linalg.norm(missed) / jnp.sqrt(PROBES)
    norm = jnp.maximum(jnp.linalg.norm(strengths), jnp.finfo(error.dtype).tiny)
    return TruncatedMap(left, right, strengths, error / norm)


def _orthonormal_rows(rows: Array) -> Array:
    return jnp.linalg.qr(rows.T)[0].T
