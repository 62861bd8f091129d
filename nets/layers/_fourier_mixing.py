"""Mixing of tokens by a Fourier transform, which one lens computes."""

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

import optics
from nets._check import as_tokens, check_call, check_mask, check_sizes
from nets.layers._kernels import as_plane_and_taps
from optics._typing import ArrayLike, CountLike, DeviceLike, GradientLike, KeyLike, ShapeLike
from optics.convolution import check_device
from optics.gradients import gradient_rule


class FourierMixing(nnx.Module):
    """The real part of the Fourier transform of all tokens and features, in place of attention.

        y = Re F_tokens F_features x

    There are no parameters. The transforms are unitary, unlike those of the source, so that numbers keep
    their size. Without `shape` it is one transform of the plane of tokens and features, and a device must
    have that many pixels. With `shape` a device transforms each token's embedding as a plane of that shape,
    and the transform over tokens is electronic: (k,) gives the same function, (k1, k2) a transform in three
    dimensions.

    What all tokens have alike, and the gradient of their mean, comes to lie in one token, whose numbers are
    then large. A norm after the sum with the residual stream shrinks them: of 12 post-norm blocks the first
    has a twentieth of the gradient of the last, of 12 pre-norm blocks three times that of the last. Deep
    networks are better pre-norm.

    Padding is set to zero but counts in the length of the transform: the result depends on how far a row is
    padded.

    Arguments:
        features: k, width of the embedding.
        shape: of the embedding as a plane, (k,) or (k1, k2), or None.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.

    Raises:
        ValueError: `features` below 1, a `shape` that does not hold the features, or an unknown `gradient`.

    Source: J. Lee-Thorp et al., "FNet: mixing tokens with Fourier transforms", NAACL (2022), section 3.2.

    Example:
        >>> import jax, nets
        >>> mixing = nets.FourierMixing(9, shape=(3, 3))
        >>> print(mixing(jax.numpy.ones((1, 4, 9))).shape)
        (1, 4, 9)
    """

    def __init__(self, features: CountLike, shape: ShapeLike | None = None, *, gradient: GradientLike = None):
        check_sizes(features=features)
        plane = None if shape is None else as_plane_and_taps(shape, None)[0]
        if plane is not None and math.prod(plane) != features:
            raise ValueError(
                f"`shape` must hold the {features} features, got {tuple(shape)} with {math.prod(plane)}."
            )
        self.features, self.plane = features, plane
        self.transform = gradient_rule(gradient)(optics.transform)

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        mask: ArrayLike | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Mix the tokens.

        Arguments:
            x: shape (batch, tokens, features).
            device: computes the transforms; None is the exact FFT.
            key: of the device's noise, consumed; None computes without noise.
            mask: True where there is a token.

        Raises:
            ValueError: vectors of another width, complex ones, a `mask` of another shape, a device of another
                shape or without a transform, or a bad key.
        """
        x = as_tokens(x, self.features)
        check_call(device, key)
        check_mask(mask, x)
        x = x if mask is None else jnp.where(mask[..., None], x, 0)
        plane = x.shape[1:] if self.plane is None else self.plane
        if device is not None:
            _check_plane(device, plane, self.plane is None)
        if self.plane is None:
            return self.transform(x, device, key).real
        planes = x.reshape(*x.shape[:2], *plane)
        spectra = self.transform(planes, device, key).reshape(x.shape)
        return jnp.fft.fft(spectra, axis=1, norm="ortho").real


def _check_plane(device: DeviceLike, plane: tuple[int, ...], holds_tokens: bool) -> None:
    """Refuse a device of another shape than the plane, which holds all tokens or one."""
    check_device(device)
    if tuple(device.shape) != tuple(plane):
        content, remedy = (
            ("tokens and features", "give the layer a `shape`")
            if holds_tokens
            else ("a token", "build the layer with a `shape`")
        )
        raise ValueError(
            f"`device` has {device.shape[0]}×{device.shape[1]} pixels but the plane of {content} is "
            f"{plane[0]}×{plane[1]}; load a device of that shape, or {remedy} that fits."
        )
