"""The content lambda: what the tokens hold, wherever they are."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Tokens of a block of the causal sum: work grows with it, and the number of steps shrinks.
BLOCK = 64


def content_lambda(
    key: Float[Array, "batch tokens depth intra"],
    v: Float[Array, "batch values intra tokens"],
    mask: Bool[Array, "batch tokens"] | None,
) -> Float[Array, "batch depth values"]:
    """Σ_m softmax_m(K[m]) V[m], padding excluded: one for the whole sequence.

    Arguments:
        key: K.
        v: V, zero where there is padding.
        mask: True where there is a token.
    """
    weights = jax.nn.softmax(_masked(key, mask), axis=1)
    return jnp.einsum("bmku,bvum->bkv", weights, v)


def causal_content(
    q: Float[Array, "batch tokens heads depth"],
    key: Float[Array, "batch tokens depth intra"],
    v: Float[Array, "batch values intra tokens"],
    mask: Bool[Array, "batch tokens"] | None,
) -> Float[Array, "batch tokens heads values"]:
    """λ[n]ᵀ q[n] with the content lambda of the tokens up to n, λ[n] = Σ_{m ≤ n} softmax_{m ≤ n}(K[m]) V[m].

    Blocks of tokens in turn; between blocks go the sums, relative to the largest key so far, so that neither overflows
    and a large key to come changes nothing. Memory is of one block.

    Source: M. N. Rabe and C. Staats, arXiv:2112.05682 (2021), section 2: sums of a softmax with their largest exponent.
    """
    batch, tokens, heads, _ = q.shape
    block = min(BLOCK, tokens)
    count = -(-tokens // block)
    missing = [(0, 0), (0, count * block - tokens), (0, 0), (0, 0)]

    def blocks(a):
        return jnp.moveaxis(jnp.pad(a, missing).reshape(batch, count, block, *a.shape[2:]), 1, 0)

    earlier = jnp.tril(jnp.ones((block, block), bool))[..., None, None]

    @jax.checkpoint
    def step(carry, part):
        largest, total, sums = carry
        q, key, v = part
        top = jax.lax.stop_gradient(jnp.maximum(largest[:, None], jax.lax.cummax(key, axis=1)))
        # Exponents of pairs that are not to be seen may be large: they are set before, not after.
        exponents = jnp.where(earlier, key[:, None] - top[:, :, None], -jnp.inf)
        weights, kept = jnp.exp(exponents), jnp.exp(largest[:, None] - top)
        totals = kept * total[:, None] + weights.sum(axis=2)
        all_sums = kept[..., None] * sums[:, None] + jnp.einsum("bnmku,bmvu->bnkuv", weights, v)
        y = jnp.einsum("bnhk,bnkuv->bnhv", q, all_sums / totals[..., None])
        return (top[:, -1], totals[:, -1], all_sums[:, -1]), y

    none = jnp.full(key.shape[:1] + key.shape[2:], _least(key.dtype), key.dtype)
    start = (none, jnp.zeros_like(none), jnp.zeros((*none.shape, v.shape[1]), v.dtype))
    _, y = jax.lax.scan(step, start, (blocks(q), blocks(_masked(key, mask)), blocks(jnp.moveaxis(v, -1, 1))))
    return jnp.moveaxis(y, 0, 1).reshape(batch, -1, heads, v.shape[1])[:, :tokens]


def _masked(key: Array, mask: Array | None) -> Array:
    return key if mask is None else jnp.where(mask[:, :, None, None], key, _least(key.dtype))


def _least(dtype: jnp.dtype) -> float:
    """So small that its exponential vanishes beside any, and its differences are still finite."""
    return float(jnp.finfo(dtype).min) / 4
