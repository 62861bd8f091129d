"""The lambda layer of images."""

from jaxtyping import Array, Float

from nets._check import as_numbers, check_call
from nets.layers.lambdas._projections import LambdaProjections
from optics._check import as_pixels, check_choice
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


class LambdaConv2d(LambdaProjections):
    """Lambda layer of images: `LambdaLayer` with relative positions in two directions.

        λp[y, x] = Σ_(dy, dx) R[dy, dx] V[y + dy, x + dx]ᵀ

    Parameters: d k h + d k u + d v u + rows · cols · k u for d features, and 2 (k h + v u) of the
        normalisation.

    Arguments:
        features: d, channels.
        heads: h, of the queries; it divides d.
        key_depth: k.
        scope: relative positions in each direction, a number or (rows, columns), centred at number scope //
            2.
        boundary: "zero" or "circular".
        intra_depth, normalization, method, gradient, rngs: as in `LambdaLayer`.

    Raises:
        ValueError: as `LambdaLayer`.

    Source: I. Bello, "LambdaNetworks: modeling long-range interactions without attention", ICLR (2021),
    section 3.2.

    Example:
        >>> import jax, nets
        >>> from flax import nnx
        >>> layer = nets.LambdaConv2d(8, heads=2, key_depth=4, scope=3, rngs=nnx.Rngs(0))
        >>> print(layer(jax.numpy.ones((1, 5, 6, 8))).shape)
        (1, 5, 6, 8)
    """

    def __init__(
        self,
        features: CountLike,
        heads: CountLike = 8,
        key_depth: CountLike = 16,
        scope: ShapeLike = 23,
        boundary: TextLike = "zero",
        intra_depth: CountLike = 1,
        normalization: TextLike | None = "batch",
        method: TextLike = "fft",
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
    ):
        taps = as_pixels("scope", scope)
        check_choice("boundary", boundary, ("zero", "circular"))
        super().__init__(
            features, heads, key_depth, taps, boundary, intra_depth, normalization, method, gradient, rngs
        )

    def __call__(
        self, x: ArrayLike, device: DeviceLike = None, key: KeyLike = None
    ) -> Float[Array, "batch rows cols features"]:
        """Mix the pixels.

        Arguments:
            x: shape (batch, rows, columns, features).
            device: computes the position lambdas, at any size of its planes; None is the exact sum.
            key: of the device's noise, consumed; None computes without noise.

        Raises:
            ValueError: other axes or channels, complex numbers, a circular scope larger than the image, or a
                bad key.
        """
        x = as_numbers("x", x)
        if x.ndim != 4 or x.shape[-1] != self.features:
            raise ValueError(f"`x` must have shape (batch, rows, columns, {self.features}), got {x.shape}.")
        check_call(device, key)
        space = x.shape[1:3]
        if self.boundary == "circular" and any(t > n for t, n in zip(self.taps, space, strict=True)):
            raise ValueError(
                f"`scope` must be at most the {space} pixels of a circular image, got {self.taps}; "
                "lower it, or use `boundary` zero."
            )
        y, _ = self._mix(x.reshape(len(x), -1, self.features), space, device, key, None)
        return y.reshape(x.shape)
