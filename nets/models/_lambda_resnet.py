"""The residual network whose bottlenecks hold lambda layers in place of convolutions of 3 × 3."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from nets.layers._check import at_least_one
from nets.layers._image_embedding import image_size, with_channels
from nets.layers.lambdas import LambdaConv2d
from nets.models._transformer import split


class LambdaResNet(nnx.Module):
    """A small LambdaResNet: convolutions that halve the image, residual blocks of lambdas, mean, linear classes.

        x = relu(BN(conv3×3(x))), halved, for each width of the stem
        x = relu(x + BN(conv1×1(relu(BN(lambda(relu(BN(conv1×1(x)))))))), for each block

    The position lambdas are what a device computes. With 28 × 28 pixels and two halvings the blocks see 7 × 7, which with
    a scope of 5 and the zeros around it is the plane of an 11 × 11 device.

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
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.

    Raises:
        ValueError: sizes below 1, an empty stem, and as `LambdaConv2d`.

    Source: I. Bello, "LambdaNetworks: modeling long-range interactions without attention", ICLR (2021), section 5 and
        appendix; convolutions in the early stages, lambdas in the late ones, as its hybrids.
    """

    def __init__(
        self,
        image: Sequence[int],
        classes: int,
        stem: Sequence[int] = (32, 64),
        depth: int = 2,
        heads: int = 8,
        key_depth: int = 8,
        scope: Sequence[int] | int = 5,
        boundary: str = "zero",
        intra_depth: int = 1,
        channels: int = 1,
        *,
        gradient: Any = None,
        rngs: nnx.Rngs,
    ):
        stem = tuple(stem)
        at_least_one(
            classes=classes,
            stem=len(stem),
            depth=depth,
            channels=channels,
            **{f"stem[{i}]": n for i, n in enumerate(stem)},
        )
        self.image, self.channels = image_size(image), channels
        self.stem = nnx.List(
            _Normed(nnx.Conv(inputs, width, (3, 3), strides=2, use_bias=False, rngs=rngs), rngs)
            for inputs, width in zip((channels, *stem), stem, strict=False)
        )

        def lambdas():
            return LambdaConv2d(
                stem[-1], heads, key_depth, scope, boundary, intra_depth, gradient=gradient, rngs=rngs
            )

        self.blocks = nnx.List(_Bottleneck(lambdas(), rngs) for _ in range(depth))
        self.classes = nnx.Linear(stem[-1], classes, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch rows cols *channels"], device: Any = None, key: Array | None = None
    ) -> Float[Array, "batch classes"]:
        """Logits, shape (batch, classes).

        Arguments:
            x: images; the axis of channels may be missing when there is one channel.
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None gives the expected value.

        Raises:
            ValueError: images of another size.
        """
        x = with_channels(x, self.image, self.channels)
        for layer in self.stem:
            x = jax.nn.relu(layer(x))
        for block, own in zip(self.blocks, split(key, len(self.blocks)), strict=True):
            x = block(x, device, own)
        return self.classes(x.mean(axis=(1, 2)))


class _Bottleneck(nnx.Module):
    """A residual block around a lambda layer."""

    def __init__(self, lambdas: LambdaConv2d, rngs: nnx.Rngs):
        def pointwise():
            return _Normed(
                nnx.Conv(lambdas.features, lambdas.features, (1, 1), use_bias=False, rngs=rngs), rngs
            )

        self.before, self.lambdas, self.after = pointwise(), lambdas, pointwise()
        self.norm = _batch_norm(lambdas.features, rngs)

    def __call__(self, x, device, key):
        y = self.lambdas(jax.nn.relu(self.before(x)), device, key)
        return jax.nn.relu(x + self.after(jax.nn.relu(self.norm(y))))


class _Normed(nnx.Module):
    """A convolution and the normalisation after it."""

    def __init__(self, conv: nnx.Conv, rngs: nnx.Rngs):
        self.conv, self.norm = conv, _batch_norm(conv.out_features, rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


def _batch_norm(features: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(features, momentum=0.9, rngs=rngs)
