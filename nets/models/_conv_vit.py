"""The vision transformer whose projections are convolutions."""

import math

from nets._check import LARGEST_DEPTH, check_sizes
from nets.layers import ConvFeedForward, ConvSelfAttention, ImageEmbedding, as_image_size
from nets.models._transformer import Block, Classifier
from optics._check import as_pixels, check_whole
from optics._typing import CountLike, FlagLike, GradientLike, PartLike, ScalarLike, ShapeLike, TextLike


class ConvViT(Classifier):
    """Patches of an image as tokens, blocks of convolutional attention, mean, linear classes.

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
        norm: "pre" or "post", as in `Block`.
        products: "electronic", or "device": the matrix products of attention and of the linear feed-forward
            on the device of the call, which convolves and multiplies matrices, as `optics.Devices` does.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.

    Raises:
        ValueError: as its parts, by the names of the arguments.

    Source: A. Dosovitskiy et al., "An image is worth 16×16 words", ICLR (2021), with the mean in place of a
    class token.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> model = nets.ConvViT((8, 8), classes=10, patch=4, shape=(3, 3), depth=1, rngs=nnx.Rngs(0))
        >>> print(model(jax.numpy.ones((2, 8, 8))).shape)
        (2, 10)
    """

    def __init__(
        self,
        image: ShapeLike,
        classes: CountLike,
        patch: ShapeLike = 7,
        shape: ShapeLike = (11, 11),
        depth: CountLike = 2,
        heads: CountLike = 4,
        kernel: ShapeLike | None = None,
        spectral: FlagLike = False,
        maps: CountLike | None = None,
        channels: CountLike = 1,
        dropout: ScalarLike = 0.0,
        norm: TextLike = "pre",
        *,
        products: TextLike = "electronic",
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        # What its parts refuse only after others were made.
        check_whole("depth", depth, 1, LARGEST_DEPTH)
        check_sizes(classes=classes, channels=channels)
        as_image_size(image)
        as_pixels("patch", patch)

        def block():
            shared = {"gradient": gradient, "rngs": rngs}
            attention = ConvSelfAttention(shape, heads, kernel, spectral, products=products, **shared)
            if maps is None:
                return Block(attention, dropout=dropout, norm=norm, products=products, **shared)
            feed_forward = ConvFeedForward(shape, maps, kernel, **shared)
            return Block(attention, dropout=dropout, norm=norm, feed_forward=feed_forward, rngs=rngs)

        blocks = [block() for _ in range(depth)]
        embedding = ImageEmbedding(image, patch, math.prod(shape), channels, rngs=rngs)
        super().__init__(embedding, blocks, classes, dropout, rngs=rngs)
