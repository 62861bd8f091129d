"""A network that predicts tokens: the next one after each, or those behind masks."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from nets._check import as_token_numbers, check_call, check_rate, check_rngs
from nets.layers import Dropout, TokenEmbedding
from nets.models._transformer import Block
from optics._check import check_whole, describe
from optics._keys import split_key
from optics._typing import ArrayLike, CountLike, DeviceLike, KeyLike, PartLike, ScalarLike


class GenerationState(NamedTuple):
    """What a language model keeps of the tokens that it has met.

    Attributes:
        count: of the tokens in each row.
        last: the last of them, shape (batch,); 0 for none.
        blocks: the state of each block.
    """

    count: Int[Array, ""]
    last: Int[Array, "batch"]
    blocks: tuple


class LanguageModel(nnx.Module):
    """Embedding, blocks, layer norm, and logits by the vectors of the embedding.

        logits[n] = LN(h[n]) Eᵀ,   h = blocks(E[x] + positions)

    The vectors E of tokens are those of the embedding, so that a token's vector is learned from where it
    stands and from where it would have. With causal blocks the logits at a token are those of the next one.

    The blocks run on the device of a call. The embedding and the logits stay electronic.

    Arguments:
        embedding: a `nets.TokenEmbedding`.
        blocks: at least one, of the same width.
        dropout: rate after the embedding, in [0, 1).
        rngs: for the first weights of the last norm.

    Raises:
        ValueError: no blocks, blocks of another width, another embedding, or a rate outside [0, 1).

    Source: A. Radford et al., "Language models are unsupervised multitask learners" (2019), for norms before
    the layers of a block and after the last; O. Press and L. Wolf, "Using the output embedding to improve
    language models", EACL (2017).

    Example:
        >>> import flax.nnx, jax, nets
        >>> rngs = flax.nnx.Rngs(0)
        >>> embedding = nets.TokenEmbedding(vocabulary=50, length=8, features=9, rngs=rngs)
        >>> mixer = nets.ConvSelfAttention((3, 3), heads=2, causal=True, rngs=rngs)
        >>> model = nets.LanguageModel(embedding, [nets.Block(mixer, norm="pre", rngs=rngs)], rngs=rngs)
        >>> print(model(jax.numpy.ones((3, 6), int)).shape)
        (3, 6, 50)
    """

    def __init__(self, embedding: PartLike, blocks: PartLike, dropout: ScalarLike = 0.0, *, rngs: PartLike):
        if not isinstance(embedding, TokenEmbedding):
            raise ValueError(
                "`embedding` must be a `nets.TokenEmbedding`, such as `nets.TokenEmbedding(50, 8, 9, "
                f"rngs=rngs)`, got {describe(embedding)}."
            )
        if (
            not isinstance(blocks, Sequence)
            or not blocks
            or not all(isinstance(block, Block) for block in blocks)
        ):
            raise ValueError(f"`blocks` must be `nets.Block`s, at least one, got {describe(blocks)}.")
        features = embedding.tokens.features
        for block in blocks:
            if block.attention.features != features:
                raise ValueError(
                    f"`blocks` must have the {features} features of `embedding`, got "
                    f"{block.attention.features}."
                )
        check_rate("dropout", dropout)
        check_rngs(rngs)
        self.embedding, self.blocks, self.dropout = embedding, nnx.List(blocks), Dropout(dropout)
        self.norm = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)

    @property
    def length(self) -> int:
        """The most tokens in a row."""
        return self.embedding.positions.num_embeddings

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch tokens vocabulary"]:
        """Logits, shape (batch, tokens, vocabulary).

        Arguments:
            x: token numbers, shape (batch, tokens); 0 is padding.
            device: computes what the blocks give to a device, convolutions and products of matrices; None
                computes exactly.
            key: of dropout and of the device's noise, consumed; None computes without noise and needs
                `model.eval()`.

        Raises:
            ValueError: a bad key, and as the embedding and the blocks.
        """
        check_call(device, key)
        *block_keys, drop_key = split_key(key, len(self.blocks) + 1)
        h, mask = self.embedding(x)
        h = self.dropout(h, drop_key)
        for block, block_key in zip(self.blocks, block_keys, strict=True):
            h = block(h, device, block_key, mask)
        return self._logits(h)

    def start(self, batch: CountLike) -> GenerationState:
        """The state of `batch` rows without tokens, for `extend`.

        Raises:
            ValueError: fewer than one row, or blocks that are not causal.
        """
        check_whole("batch", batch, 1)
        states = tuple(block.start(batch, self.length) for block in self.blocks)
        return GenerationState(jnp.zeros((), jnp.int32), jnp.zeros(batch, jnp.int32), states)

    def extend(
        self, x: ArrayLike, state: PartLike, device: DeviceLike = None, key: KeyLike = None
    ) -> tuple[Float[Array, "batch tokens vocabulary"], GenerationState]:
        """Logits of the tokens that follow those of a state, and the state with them.

        Tokens cost as if the others were not there, save what the layers read of their state: a text of n
        tokens costs n steps and not n texts.

        Arguments:
            x: token numbers, shape (batch, tokens); none of them is padding, and with those of the state they
                are at most `length`, which is not checked: the count may be traced.
            state: of `start`, or of the tokens before.
            device, key: as in a call. Dropout is left out.

        Raises:
            ValueError: as for a call, or a state that is none.
        """
        check_call(device, key)
        if not isinstance(state, GenerationState):
            raise ValueError(
                f"`state` must be of `model.start` or of an earlier `extend`, got {describe(state)}."
            )
        x = as_token_numbers("x", x, self.embedding.tokens.num_embeddings)
        *block_keys, _ = split_key(key, len(self.blocks) + 1)
        h, states = self.embedding.extend(x, state.count, state.last), []
        for block, before, block_key in zip(self.blocks, state.blocks, block_keys, strict=True):
            h, after = block.extend(h, before, device, block_key)
            states.append(after)
        return self._logits(h), GenerationState(state.count + x.shape[1], x[:, -1], tuple(states))

    def _logits(self, h: Float[Array, "batch tokens features"]) -> Float[Array, "batch tokens vocabulary"]:
        return self.embedding.tokens.attend(self.norm(h))
