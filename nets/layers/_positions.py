"""Sums over neighbours in a sequence or an image: the layout of its ends, and correlations of lines.

A sum ends where the values end, or wraps around (`wraps`).
"""

from collections.abc import Callable

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

import optics
from optics._numerics import fast_length
from optics._typing import DeviceLike, GradientLike
from optics.gradients import gradient_rule


def extend_values(
    v: Float[Array, "batch depth intra *space"],
    taps: tuple[int, ...],
    boundary: str,
    mask: Bool[Array, "batch tokens"] | None,
) -> tuple[Float[Array, "batch depth intra *positions"], bool]:
    """Values laid out so that output i is a sum over values i … i + taps − 1, along each axis of space.

    A circle closes after the last token of a row, not after its padding: the result does not depend on how
    far a row is padded.

    Arguments:
        v: values, padding zero.
        taps: of the relative positions; tap s acts on the position s − taps // 2 away ("causal": s − taps +
            1).
        boundary: "circular", "zero" or "causal".
        mask: True where there is a token, or None; one-dimensional sequences only.

    Returns:
        the values, longer by taps − 1, and False; or of the same length, and True, if the sum itself wraps
        around.
    """
    axes = tuple(range(-len(taps), 0))
    before = [n - 1 if boundary == "causal" else n // 2 for n in taps]
    if boundary != "circular":
        padding = [(b, n - 1 - b) for b, n in zip(before, taps, strict=True)]
        return jnp.pad(v, [(0, 0)] * (v.ndim - len(taps)) + padding), False
    if mask is None:
        return jnp.roll(v, before, axes), True
    length = jnp.max(jnp.where(mask, jnp.arange(1, mask.shape[1] + 1), 1), axis=1)
    positions = jnp.arange(v.shape[-1] + taps[0] - 1) - before[0]
    # Tokens first, so that the gather, and the scatter of its gradient, move whole vectors.
    tokens = jnp.moveaxis(v, -1, 1)
    index = (positions % length[:, None])[:, :, None, None]
    return jnp.moveaxis(jnp.take_along_axis(tokens, index, axis=1), 1, -1), False


def correlate_by_fft(
    v: Float[Array, "batch depth intra *positions"], taps: tuple[int, ...], wraps: bool
) -> Callable[[Float[Array, "keys intra *taps"]], Float[Array, "keys batch depth *space"]]:
    """Transform the values once; return a function of kernels that sums over relative positions.

        λ[k, b, v, i] = Σ_u Σ_s R[k, u, s] V[b, v, u, i + s]

    Both transforms have the length of the values: sums that wrap around it only reach outputs that are cut
    off.
    """
    positions, axes = v.shape[-len(taps) :], tuple(range(-len(taps), 0))
    size = positions if wraps else tuple(fast_length(n, real=True) for n in positions)
    outputs = tuple(slice(n if wraps else n - t + 1) for n, t in zip(positions, taps, strict=True))
    spectra = jnp.fft.rfftn(v, s=size, axes=axes)

    def lambdas(relative):
        kernels = jnp.conj(jnp.fft.rfftn(relative, s=size, axes=axes))
        # An einsum would be a separate product of matrices for every frequency.
        products = sum(kernels[:, None, None, u] * spectra[None, :, :, u] for u in range(v.shape[2]))
        return jnp.fft.irfftn(products, s=size, axes=axes)[..., *outputs]

    return lambdas


def correlate_lines(
    lines: Float[Array, "count channels positions"],
    kernels: Float[Array, "outputs inputs taps"],
    groups: int,
    gradient: GradientLike,
    device: DeviceLike,
    key: Array | None,
) -> Float[Array, "count outputs space"]:
    """Σ_c Σ_s w[o, c, s] x[n, c, i + s] over the channels of a group, on a device, or directly without one.

    A device that has a transform adds channels and parts of long kernels as spectra, where that takes fewer
    transforms.

    Arguments:
        lines, kernels, groups: as in `jax.lax.conv_general_dilated`.
        gradient: a gradient rule, as in `optics.conv_general_dilated`.
        device: of any size.
        key: of its noise, consumed; None computes without noise.
    """
    x = rearrange(lines, "count (groups inputs) n -> groups 1 count inputs n", groups=groups)
    w = rearrange(kernels, "(groups out) inputs taps -> groups out 1 inputs taps", groups=groups)
    if device is not None and device.supports(optics.AbstractDevice.transform):
        sizes = (x.shape, w.shape, device.shape, "valid")
        by_spectra, by_products = optics.mapping.plan_partitioned(*sizes), optics.mapping.plan_1d(*sizes)
        if by_spectra.transforms < by_products.transforms:
            transform = gradient_rule(gradient)(optics.transform)
            # A correlation is the convolution with the kernel reversed.
            y = optics.mapping.convolve_partitioned(
                x, jnp.flip(w, -1), device, key, boundary="valid", plan=by_spectra, transform=transform
            )
            return rearrange(y, "groups out count n -> count (groups out) n")
    conv = optics.conv_general_dilated(device, key, gradient)
    return conv(lines, kernels, (1,), "VALID", feature_group_count=groups)


def check_circle(scope: int, tokens: int) -> None:
    """Refuse more relative positions than a circle of tokens has."""
    if scope > tokens:
        raise ValueError(
            f"`scope` must be at most the {tokens} tokens of a circular sequence, got {scope}; lower it, or "
            "use `boundary` zero."
        )
