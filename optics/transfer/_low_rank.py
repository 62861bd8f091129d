"""The best approximation of a linear map of given rank, from its action alone, with a derivative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

# More directions than the terms asked for, so that the subspace found at random holds them to single precision.
SPARE = 10
POWER_ITERATIONS = 2
PROBES = 8


def truncated(
    forward: Callable[[Array], Array], backward: Callable[[Array], Array], size: int, terms: int
) -> tuple[Complex[Array, "terms out"], Complex[Array, "terms in"], Float[Array, " terms"], Float[Array, ""]]:
    """The first `terms` singular directions of a map M, by randomized singular value decomposition.

        M ≈ Σ_k left_k ⊗ right_k,   left_k = u_k,   right_k = s_k conj(v_k)

    The derivative is that of the truncated map where its singular vectors turn with M: dM projected on the space of
    maps that share its row or its column space. Singular vectors themselves have no usable derivative where two
    strengths agree, and none is taken.

    Arguments:
        forward: rows of (count, in) -> rows of (count, out): M applied to each row.
        backward: the same for the transpose of M, rows of (count, out) -> (count, in).
        size: in.
        terms: how many.

    Returns:
        left (terms, out), right (terms, in), the strengths s in falling order, and the relative error by truncation
        (Frobenius norm), estimated with random probes to about a third of itself.

    Source: N. Halko, P. G. Martinsson and J. A. Tropp, SIAM Review 53, 217 (2011), algorithms 4.4 and 5.1.
    """
    count = min(terms + SPARE, size)
    fixed_forward, fixed_backward = (
        lambda rows, f=f: jax.lax.stop_gradient(f(rows)) for f in (forward, backward)
    )
    draws = jax.random.normal(jax.random.key(0), (count + PROBES, size))
    basis = _orthonormal(fixed_forward(draws[:count]))
    for _ in range(POWER_ITERATIONS):
        basis = _orthonormal(fixed_forward(_orthonormal(jnp.conj(fixed_backward(jnp.conj(basis))))))
    turned, strengths, v = jnp.linalg.svd(fixed_backward(jnp.conj(basis)), full_matrices=False)
    u = jax.lax.stop_gradient(turned[:, :terms].T @ basis)
    v = jax.lax.stop_gradient(jnp.conj(v[:terms]))
    strengths = jax.lax.stop_gradient(strengths[:terms])

    right = backward(jnp.conj(u))
    moved = forward(v)
    moved = moved - jax.lax.stop_gradient(moved)
    across = moved - (moved @ jnp.conj(u).T) @ u
    left = u + across / jnp.where(strengths > 0, strengths, 1)[:, None]

    probes = draws[count:]
    missed = fixed_forward(probes) - jax.lax.stop_gradient((probes @ right.T) @ left)
    error = jnp.linalg.norm(missed) / jnp.sqrt(PROBES)
    return (
        left,
        right,
        strengths,
        error / jnp.maximum(jnp.linalg.norm(strengths), jnp.finfo(error.dtype).tiny),
    )


def _orthonormal(rows: Array) -> Array:
    return jnp.linalg.qr(rows.T)[0].T
