"""From an image to one vector for each of its patches."""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from nets.layers._check import at_least_one
from nets.layers._embedding import PatchEmbedding


class ImageEmbedding(nnx.Module):
    """Patches of an image, row by row, to vectors, plus a learned vector for each place.

    Arguments:
        image: its rows and columns.
        patch: rows and columns of a patch, or one number for both; they divide those of the image.
        features: width.
        channels: numbers of a pixel.
        dtype: of the product with the weights, as in `PatchEmbedding`.
        rngs: for the initial weights.

    Raises:
        ValueError: sizes below 1, or a patch that does not divide the image.
    """

    def __init__(
        self,
        image: Sequence[int],
        patch: Sequence[int] | int,
        features: int,
        channels: int = 1,
        dtype: Any = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.image = image_size(image)
        self.patch = (patch,) * 2 if isinstance(patch, int) else tuple(patch)
        at_least_one(
            features=features, channels=channels, **{f"patch[{i}]": n for i, n in enumerate(self.patch)}
        )
        if len(self.patch) != 2 or any(n % p for n, p in zip(self.image, self.patch, strict=True)):
            fitting = " and ".join(
                "one of " + ", ".join(str(p) for p in range(1, n + 1) if n % p == 0) for n in self.image
            )
            raise ValueError(
                f"`patch` must divide the {self.image} pixels of `image`, got {self.patch}; use {fitting}."
            )
        self.channels = channels
        rows, cols = (n // p for n, p in zip(self.image, self.patch, strict=True))
        self.embed = PatchEmbedding(
            self.patch[0] * self.patch[1] * channels, rows * cols, features, dtype, rngs=rngs
        )

    def __call__(
        self, x: Float[Array, "batch rows cols *channels"]
    ) -> tuple[Float[Array, "batch tokens features"], None]:
        """Vectors, and no mask; the axis of channels may be missing when there is one channel."""
        x = with_channels(x, self.image, self.channels)
        (rows, cols), (high, wide) = self.image, self.patch
        patches = x.reshape(len(x), rows // high, high, cols // wide, wide, self.channels).swapaxes(2, 3)
        return self.embed(patches.reshape(len(x), -1, high * wide * self.channels))


def image_size(image: Sequence[int]) -> tuple[int, int]:
    """Rows and columns, or a refusal."""
    image = tuple(image)
    if len(image) != 2:
        raise ValueError(f"`image` must be (rows, columns), got {image!r}.")
    at_least_one(**{f"image[{i}]": n for i, n in enumerate(image)})
    return image


def with_channels(
    x: Array, image: tuple[int, int], channels: int
) -> Float[Array, "batch rows cols channels"]:
    """Images with their axis of channels, or a refusal."""
    images = x[..., None] if x.ndim == 3 and channels == 1 else x
    if images.ndim != 4 or images.shape[1:] != (*image, channels):
        raise ValueError(f"`x` must have shape (batch, {image[0]}, {image[1]}, {channels}), got {x.shape}.")
    return images
