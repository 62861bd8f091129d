"""The attention map."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def attention_weights(
    q: Float[Array, "batch tokens heads features"],
    k: Float[Array, "batch tokens heads features"],
    mask: Bool[Array, "batch tokens"] | None,
    width: int | None = None,
) -> Float[Array, "batch heads tokens tokens"]:
    """softmax over the second token axis of q kᵀ / √width, padding excluded; `width` is that of the heads unless given."""
    logits = jnp.einsum("bthk,bshk->bhts", q, k) / math.sqrt(width or q.shape[-1])
    return over_tokens(logits, mask)


def over_tokens(
    logits: Float[Array, "batch any tokens others"], mask: Bool[Array, "batch others"] | None
) -> Float[Array, "batch any tokens others"]:
    """softmax over the last axis, padding excluded; a row of nothing but padding gets equal weights."""
    if mask is not None:
        logits = jnp.where(mask[:, None, None, :], logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(logits)
