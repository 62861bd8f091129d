"""The vision transformer whose projections are convolutions."""

import math
from collections.abc import Sequence
from typing import Any

from flax import nnx

from nets.layers._check import at_least_one
from nets.layers._feed_forward import ConvFeedForward
from nets.layers._image_embedding import ImageEmbedding
from nets.layers.attention import ConvSelfAttention
from nets.models._transformer import Block, Classifier


class ConvViT(Classifier):
    """Patches of an image as tokens, pre-norm blocks of convolutional attention, mean, linear classes.

    Arguments:
        image: rows and columns.
        classes: number of classes.
        patch: rows and columns of a patch, or one number for both.
        shape: of the embedding as a plane, (k,) or (k1, k2).
        depth: blocks.
        heads: of attention.
        kernel: taps in each direction; by default those of the plane.
        spectral: attention with one optical transform forward and one back.
        maps: planes between the two rounds of a convolutional feed-forward, or None for the linear one.
        channels: numbers of a pixel.
        dropout: rate, in [0, 1).
        order: "pre" or "post".
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.

    Raises:
        ValueError: as its parts, by the names of the arguments.

    Source: A. Dosovitskiy et al., "An image is worth 16×16 words", ICLR (2021), with the mean in place of a class token.
    """

    def __init__(
        self,
        image: Sequence[int],
        classes: int,
        patch: Sequence[int] | int = 7,
        shape: Sequence[int] = (11, 11),
        depth: int = 2,
        heads: int = 4,
        kernel: Sequence[int] | int | None = None,
        spectral: bool = False,
        maps: int | None = None,
        channels: int = 1,
        dropout: float = 0.0,
        order: str = "pre",
        *,
        gradient: Any = None,
        rngs: nnx.Rngs,
    ):
        at_least_one(depth=depth)

        def block():
            attention = ConvSelfAttention(shape, heads, kernel, spectral, gradient=gradient, rngs=rngs)
            forward = (
                None if maps is None else ConvFeedForward(shape, maps, kernel, gradient=gradient, rngs=rngs)
            )
            return Block(attention, dropout=dropout, order=order, feed_forward=forward, rngs=rngs)

        blocks = [block() for _ in range(depth)]
        embedding = ImageEmbedding(image, patch, math.prod(shape), channels, rngs=rngs)
        super().__init__(embedding, blocks, classes, dropout, rngs=rngs)
