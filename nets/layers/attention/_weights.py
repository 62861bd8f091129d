"""What tokens take of each other: a softmax over the tokens that a token may see, in blocks of tokens.

The weights of n tokens are n² numbers for each head. A block of tokens at a time, against all others, needs
no online softmax, and the gradient computes each block again: memory then grows with n.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int

from optics._chunks import MAX_ELEMENTS, map_in_chunks

# Tokens of a block: fewer would take longer to read the others than to compute with them.
SMALLEST_BLOCK = 64


def attend_in_blocks(
    attend: Callable,
    queries: Inexact[Array, "batch tokens *rest"],
    heads: int,
    others: int,
    key: Array | None = None,
) -> Inexact[Array, "batch tokens *result"]:
    """`attend` of all tokens, in blocks of as many as memory is meant to hold.

    Arguments:
        attend: (queries, rows, key) -> result, where rows are the numbers of these tokens in the text; each
            row of the result depends on the query of its row alone.
        queries: of all tokens.
        heads, others: each token has this many weights of this many others.
        key: of a device's noise, of which each block draws its own; None computes without.
    """

    def attend_block(block, key):
        rows, block_queries = block
        return jnp.moveaxis(attend(jnp.moveaxis(block_queries, 0, 1), rows, key), 1, 0)

    elements = min(queries.shape[0] * heads * others, MAX_ELEMENTS // SMALLEST_BLOCK)
    rows = jnp.arange(queries.shape[1])
    return jnp.moveaxis(map_in_chunks(attend_block, (rows, jnp.moveaxis(queries, 1, 0)), key, elements), 0, 1)


def visible_tokens(
    mask: Bool[Array, "batch others"] | None, rows: Int[Array, "tokens"] | None, others: int
) -> Bool[Array, "..."] | None:
    """Which of the others a token may take from, shape (batch or 1, tokens or 1, others); None: all.

    Arguments:
        mask: True where there is a token; padding is not attended to.
        rows: numbers of tokens that see no later one; None if they see all.
        others: how many there are.
    """
    padding = None if mask is None else mask[:, None, :]
    if rows is None:
        return padding
    earlier = (jnp.arange(others) <= rows[:, None])[None]
    return earlier if padding is None else earlier & padding


def attention_weights(
    q: Float[Array, "batch tokens heads features"],
    k: Float[Array, "batch others heads features"],
    visible: Bool[Array, "..."] | None,
    width: int | None = None,
    multiply: Callable | None = None,
) -> Float[Array, "batch heads tokens others"]:
    """softmax of q kᵀ / √width over the visible tokens; `width` is that of q by default.

    `multiply`, (a, b) -> a @ b, computes the product; None is the exact one.
    """
    if multiply is None:
        products = jnp.einsum("bthk,bshk->bhts", q, k)
    else:
        products = multiply(jnp.transpose(q, (0, 2, 1, 3)), jnp.transpose(k, (0, 2, 3, 1)))
    logits = products / math.sqrt(width or q.shape[-1])
    return masked_softmax(logits, None if visible is None else visible[:, None])


def masked_softmax(
    logits: Float[Array, "*lead others"], visible: Bool[Array, "..."] | None
) -> Float[Array, "*lead others"]:
    """softmax over what is visible along the last axis; a row that sees nothing gets equal weights."""
    if visible is not None:
        logits = jnp.where(visible, logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(logits)
