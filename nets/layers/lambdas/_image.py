"""The lambda layer of images."""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from nets.layers._check import at_least_one, one_of
from nets.layers.lambdas._projections import LambdaProjections


class LambdaConv2d(LambdaProjections):
    """Lambda layer of images, with relative positions in two directions; else as `LambdaLayer`.

        λp[y, x] = Σ_(dy, dx) R[dy, dx] V[y + dy, x + dx]ᵀ

    Parameters: d k h + d k u + d v u + rows · cols · k u for d features, and 2 (k h + v u) of the normalisation.

    Arguments:
        features: d, channels.
        heads: h, of the queries; it divides d.
        key_depth: k.
        scope: relative positions in each direction, a number or (rows, columns), centred at number scope // 2.
        boundary: "zero", or "circular".
        intra_depth, normalization, method, gradient, rngs: as in `LambdaLayer`.

    Raises:
        ValueError: as `LambdaLayer`.

    Source: I. Bello, "LambdaNetworks: modeling long-range interactions without attention", ICLR (2021), section 3.2.
    """

    def __init__(
        self,
        features: int,
        heads: int = 8,
        key_depth: int = 16,
        scope: Sequence[int] | int = 23,
        boundary: str = "zero",
        intra_depth: int = 1,
        normalization: str | None = "batch",
        method: str = "fft",
        *,
        gradient: Any = None,
        rngs: nnx.Rngs,
    ):
        taps = (scope,) * 2 if isinstance(scope, int) else tuple(scope)
        if len(taps) != 2:
            raise ValueError(f"`scope` must be a number or (rows, columns), got {scope!r}.")
        at_least_one(**{f"scope[{i}]": n for i, n in enumerate(taps)})
        one_of("boundary", boundary, ("zero", "circular"))
        super().__init__(
            features, heads, key_depth, taps, boundary, intra_depth, normalization, method, gradient, rngs
        )

    def __call__(
        self, x: Float[Array, "*batch_rows_cols channels"], device: Any = None, key: Array | None = None
    ) -> Float[Array, "batch rows cols features"]:
        """Mix the pixels.

        Arguments:
            x: shape (batch, rows, columns, features).
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None gives the expected value.

        Raises:
            ValueError: other axes or channels, or a circular scope larger than the image.
        """
        if x.ndim != 4 or x.shape[-1] != self.features:
            raise ValueError(f"`x` must have shape (batch, rows, columns, {self.features}), got {x.shape}.")
        space = x.shape[1:3]
        if self.boundary == "circular" and any(t > n for t, n in zip(self.taps, space, strict=True)):
            raise ValueError(
                f"`scope` must be at most the {space} pixels of a circular image, got {self.taps}; lower it, or use `boundary` zero."
            )
        return self._mixed(x.reshape(len(x), -1, self.features), space, device, key, None).reshape(x.shape)
