"""Mixing tokens by a Fourier transform, which is all that a lens does."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

import optics
from nets.layers._check import at_least_one, has_width
from nets.layers._kernels import plane_and_taps
from optics.convolution import check_device
from optics.gradients import gradient_rule


class FourierMixing(nnx.Module):
    """In the place of attention: the real part of the Fourier transform of all tokens and features. No parameters.

        y = Re F_tokens F_features x

    Unitary, unlike the source, so that numbers keep their size. Without `shape` it is one transform of the plane of tokens
    and features, and a device must have that many pixels. With `shape` a device transforms the embedding of each token
    as a plane of that shape, and the transform over tokens is electronic: with (k,) the same function, with (k1, k2) that
    of three dimensions.

    Padding is made zero, and counts in the length of the transform: what a row gives depends on how far it is padded.

    Arguments:
        features: k, width of the embedding.
        shape: of the embedding as a plane, (k,) or (k1, k2), or None.
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.

    Raises:
        ValueError: fewer than one feature, a shape that does not hold the features, or an unknown `gradient`.

    Source: J. Lee-Thorp et al., "FNet: mixing tokens with Fourier transforms", NAACL (2022), section 3.2.
    """

    def __init__(self, features: int, shape: Sequence[int] | None = None, *, gradient: Any = None):
        at_least_one(features=features)
        plane = None if shape is None else plane_and_taps(shape, None)[0]
        if plane is not None and math.prod(plane) != features:
            raise ValueError(
                f"`shape` must hold the {features} features, got {tuple(shape)} with {math.prod(plane)}."
            )
        self.features, self.plane = features, plane
        self.transform = gradient_rule(gradient)(optics.transform)

    def __call__(
        self,
        x: Float[Array, "batch tokens features"],
        device: Any = None,
        key: Array | None = None,
        mask: Bool[Array, "batch tokens"] | None = None,
    ) -> Float[Array, "batch tokens features"]:
        """Mix the tokens.

        Arguments:
            x: shape (batch, tokens, features).
            device: transforms; None is the exact FFT.
            key: of the device's noise, consumed; None gives the expected value.
            mask: True where there is a token.

        Raises:
            ValueError: vectors of another width, or a device of other pixels than the plane, or without a transform.
        """
        has_width(x, self.features)
        x = x if mask is None else jnp.where(mask[..., None], x, 0)
        plane = x.shape[1:] if self.plane is None else self.plane
        if device is not None:
            _refuse(device, plane, self.plane is None)
        if self.plane is None:
            return self.transform(x, device, key).real
        of_features = self.transform(x.reshape(*x.shape[:2], *plane), device, key).reshape(x.shape)
        return jnp.fft.fft(of_features, axis=1, norm="ortho").real


def _refuse(device: Any, plane: tuple[int, ...], whole: bool) -> None:
    """Refuse a device of other pixels than the plane."""
    check_device(device)
    if tuple(device.shape) != tuple(plane):
        what, instead = (
            ("tokens and features", "give the layer a `shape`")
            if whole
            else ("a token", "build the layer with a `shape`")
        )
        raise ValueError(
            f"`device` has {device.shape[0]}×{device.shape[1]} pixels but the plane of {what} is {plane[0]}×{plane[1]}; "
            f"load a device of that shape, or {instead} that fits."
        )
