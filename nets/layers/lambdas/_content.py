"""The content lambda: what the tokens hold, wherever they are."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

# Tokens in a block of the causal sum: work grows with it, and the number of steps shrinks.
BLOCK = 64


class ContentState(NamedTuple):
    """Sums of the content lambda over the tokens so far.

    Attributes:
        largest: key.
        total: Σ exp(K − largest).
        sums: Σ exp(K − largest) V.
    """

    largest: Float[Array, "batch depth intra"]
    total: Float[Array, "batch depth intra"]
    sums: Float[Array, "batch depth intra values"]


def content_lambda(
    key: Float[Array, "batch tokens depth intra"],
    v: Float[Array, "batch values intra tokens"],
    mask: Bool[Array, "batch tokens"] | None,
) -> Float[Array, "batch depth values"]:
    """Σ_m softmax_m(K[m]) V[m], padding excluded: one lambda for the whole sequence.

    Arguments:
        key: K.
        v: V, zero where there is padding.
        mask: True where there is a token.
    """
    weights = jax.nn.softmax(_mask_keys(key, mask), axis=1)
    return jnp.einsum("bmku,bvum->bkv", weights, v)


def causal_content(
    q: Float[Array, "batch tokens heads depth"],
    key: Float[Array, "batch tokens depth intra"],
    v: Float[Array, "batch values intra tokens"],
    mask: Bool[Array, "batch tokens"] | None,
    state: ContentState | None = None,
) -> tuple[Float[Array, "batch tokens heads values"], ContentState]:
    """λ[n]ᵀ q[n] with the content lambda of the tokens up to n, λ[n] = Σ_{m ≤ n} softmax_{m ≤ n}(K[m]) V[m].

    Blocks of tokens follow each other, and pass on sums relative to the largest key so far: neither
    overflows, and a large key that is still to come changes nothing. Memory is that of one block.

    Arguments:
        q, key, v, mask: as in `content_lambda`, with the queries.
        state: of the tokens before these; None: there are none.

    Returns:
        the result, and the state of all tokens so far.

    Source: M. N. Rabe and C. Staats, arXiv:2112.05682 (2021), section 2: sums of a softmax with their largest
    exponent.
    """
    tokens = q.shape[1]
    block = min(BLOCK, tokens)
    padding = [(0, 0), (0, -tokens % block), (0, 0), (0, 0)]

    def split_blocks(a, filler=0.0):
        padded = jnp.pad(a, padding, constant_values=filler)
        return rearrange(padded, "batch (blocks block) ... -> blocks batch block ...", block=block)

    is_past = jnp.tril(jnp.ones((block, block), bool))[..., None, None]

    @jax.checkpoint
    def step(carry, part):
        largest, total, sums = carry
        q, key, v = part
        top = jax.lax.stop_gradient(jnp.maximum(largest[:, None], jax.lax.cummax(key, axis=1)))
        # Exponents of pairs with the future may be large: they are replaced before `exp`, not after.
        exponents = jnp.where(is_past, key[:, None] - top[:, :, None], -jnp.inf)
        weights, decay = jnp.exp(exponents), jnp.exp(largest[:, None] - top)
        totals = decay * total[:, None] + weights.sum(axis=2)
        all_sums = decay[..., None] * sums[:, None] + jnp.einsum("bnmku,bmvu->bnkuv", weights, v)
        y = jnp.einsum("bnhk,bnkuv->bnhv", q, all_sums / totals[..., None])
        return ContentState(top[:, -1], totals[:, -1], all_sums[:, -1]), y

    tokens_first = rearrange(v, "batch values intra tokens -> batch tokens values intra")
    keys = split_blocks(_mask_keys(key, mask), _lowest_key(key.dtype))
    if state is None:
        batch, _, depth, intra = key.shape
        state = start_content(batch, depth, intra, v.shape[1], v.dtype)
    state, y = jax.lax.scan(step, state, (split_blocks(q), keys, split_blocks(tokens_first)))
    return rearrange(y, "blocks batch block ... -> batch (blocks block) ...")[:, :tokens], state


def start_content(
    batch: int, depth: int, intra: int, values: int, dtype: jax.typing.DTypeLike
) -> ContentState:
    """The state of no tokens."""
    lowest = jnp.full((batch, depth, intra), _lowest_key(dtype), dtype)
    return ContentState(lowest, jnp.zeros_like(lowest), jnp.zeros((*lowest.shape, values), dtype))


def _mask_keys(key: Array, mask: Array | None) -> Array:
    return key if mask is None else jnp.where(mask[:, :, None, None], key, _lowest_key(key.dtype))


def _lowest_key(dtype: jnp.dtype) -> float:
    """So small that its exponential vanishes beside any other, while differences stay finite."""
    return float(jnp.finfo(dtype).min) / 4
