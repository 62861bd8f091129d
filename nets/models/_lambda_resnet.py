"""The residual network whose bottlenecks hold lambda layers in place of 3 × 3 convolutions."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from nets._batch_norm import BatchNorm
from nets._check import LARGEST_DEPTH, check_call, check_rngs, check_sizes
from nets.layers import LambdaConv2d, as_image_size, as_images
from optics._check import as_counts, as_pixels, check_whole
from optics._keys import split_key
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    GradientLike,
    KeyLike,
    PartLike,
    ShapeLike,
    TextLike,
)


class LambdaResNet(nnx.Module):
    """A small LambdaResNet: convolutions that halve the image, residual blocks of lambdas, linear classes.

        x = relu(BN(conv3×3(x))), halved, for each width of the stem
        x = relu(x + BN(conv1×1(relu(BN(lambda(relu(BN(conv1×1(x)))))))), for each block

    A device computes the position lambdas. With 28 × 28 pixels and two halvings the blocks have 7 × 7
    positions; with a scope of 5 and the zeros around them they fill the plane of an 11 × 11 device.

    Arguments:
        image: rows and columns.
        classes: number of classes.
        stem: channels after each halving.
        depth: residual blocks.
        heads: of the lambdas; they divide the last channels of the stem.
        key_depth: of the lambdas.
        scope: relative positions in each direction, a number or (rows, columns).
        boundary: "zero" or "circular".
        intra_depth: of the lambdas.
        channels: numbers of a pixel.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.

    Raises:
        ValueError: a size below 1, an empty stem, and as `LambdaConv2d`.

    Source: I. Bello, "LambdaNetworks: modeling long-range interactions without attention", ICLR (2021),
    section 5 and
    appendix: its hybrids have convolutions in the early stages and lambdas in the late ones.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> model = nets.LambdaResNet((8, 8), classes=10, stem=(8, 16), depth=1, heads=4, rngs=nnx.Rngs(0))
        >>> print(model(jax.numpy.ones((2, 8, 8))).shape)
        (2, 10)
    """

    def __init__(
        self,
        image: ShapeLike,
        classes: CountLike,
        stem: ShapeLike = (32, 64),
        depth: CountLike = 2,
        heads: CountLike = 8,
        key_depth: CountLike = 8,
        scope: ShapeLike = 5,
        boundary: TextLike = "zero",
        intra_depth: CountLike = 1,
        channels: CountLike = 1,
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        stem = as_counts("stem", stem)
        if not stem:
            raise ValueError("`stem` must have at least one width, got none.")
        check_sizes(classes=classes, channels=channels)
        check_whole("depth", depth, 1, LARGEST_DEPTH)
        # What the blocks refuse only after the stem was made.
        as_pixels("scope", scope)
        check_rngs(rngs)
        self.image, self.channels = as_image_size(image), channels
        self.stem = nnx.List(
            _ConvNorm(nnx.Conv(inputs, width, (3, 3), strides=2, use_bias=False, rngs=rngs), rngs)
            for inputs, width in zip((channels, *stem), stem, strict=False)
        )

        def lambdas():
            return LambdaConv2d(
                stem[-1], heads, key_depth, scope, boundary, intra_depth, gradient=gradient, rngs=rngs
            )

        self.blocks = nnx.List(_Bottleneck(lambdas(), rngs) for _ in range(depth))
        self.classes = nnx.Linear(stem[-1], classes, rngs=rngs)

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch classes"]:
        """Logits, shape (batch, classes).

        Arguments:
            x: images; the axis of channels may be missing when there is one channel.
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None computes without noise.

        Raises:
            ValueError: images of another size, or a bad key.
        """
        check_call(device, key)
        x = as_images(x, self.image, self.channels)
        for layer in self.stem:
            x = jax.nn.relu(layer(x))
        for block, block_key in zip(self.blocks, split_key(key, len(self.blocks)), strict=True):
            x = block(x, device, block_key)
        return self.classes(x.mean(axis=(1, 2)))


class _Bottleneck(nnx.Module):
    """A residual block around a lambda layer."""

    def __init__(self, lambdas: LambdaConv2d, rngs: nnx.Rngs):
        def pointwise():
            conv = nnx.Conv(lambdas.features, lambdas.features, (1, 1), use_bias=False, rngs=rngs)
            return _ConvNorm(conv, rngs)

        self.before, self.lambdas, self.after = pointwise(), lambdas, pointwise()
        self.norm = BatchNorm(lambdas.features, rngs=rngs)

    def __call__(self, x, device, key):
        y = self.lambdas(jax.nn.relu(self.before(x)), device, key)
        return jax.nn.relu(x + self.after(jax.nn.relu(self.norm(y))))


class _ConvNorm(nnx.Module):
    """A convolution and the normalisation after it."""

    def __init__(self, conv: nnx.Conv, rngs: nnx.Rngs):
        self.conv, self.norm = conv, BatchNorm(conv.out_features, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))
