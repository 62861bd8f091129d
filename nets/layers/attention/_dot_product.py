"""Flax's attention with products of matrices that a device computes."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from einops import rearrange
from flax.nnx.nn.attention import dot_product_attention_weights
from jaxtyping import Array, Float


def dot_product_attention_of(multiply: Callable) -> Callable:
    """`flax.nnx.dot_product_attention` with other products: of queries and keys, of weights and values.

    Masks, bias, dropout, groups of heads and `sow` are those of flax. Heads that share keys and values are
    rows of one matrix.

    Arguments:
        multiply: (a, b) -> a @ b, shapes (..., m, k) and (..., k, n).
    """

    def attention(
        query: Float[Array, "*batch tokens heads features"],
        key: Float[Array, "*batch others groups features"],
        value: Float[Array, "*batch others groups values"],
        bias: Float[Array, "..."] | None = None,
        mask: Array | None = None,
        *,
        dtype: Any = None,
        is_causal: bool = False,
        **options: Any,
    ) -> Float[Array, "*batch tokens heads values"]:
        dtype = jnp.result_type(query, key, value) if dtype is None else dtype
        query, key, value = (a.astype(dtype) for a in (query, key, value))
        sharing = query.shape[-2] // key.shape[-2]
        rows = rearrange(query, "... t (group head) k -> ... group (head t) k", head=sharing)
        columns = rearrange(key, "... s group k -> ... group k s")
        logits = multiply(rows / math.sqrt(query.shape[-1]), columns).astype(dtype)
        logits = rearrange(logits, "... group (head t) s -> ... (group head) t s", head=sharing)
        if is_causal:
            earlier = jnp.tril(jnp.ones(logits.shape[-2:], bool))
            mask = earlier if mask is None else earlier & mask.astype(bool)
        # Flax adds the products of queries and keys to the bias: those without features are zero.
        weights = dot_product_attention_weights(
            query[..., :0],
            key[..., :0],
            logits if bias is None else logits + bias,
            mask,
            dtype=dtype,
            **options,
        )
        rows = rearrange(weights, "... (group head) t s -> ... group (head t) s", head=sharing)
        y = multiply(rows, rearrange(value, "... s group k -> ... group s k")).astype(dtype)
        return rearrange(y, "... group (head t) k -> ... t (group head) k", head=sharing)

    return attention
