"""What a position sees beyond the end of its sequence."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def extended(
    v: Float[Array, "batch depth intra *space"], taps: tuple[int, ...], boundary: str, mask: Bool[Array, "batch tokens"] | None
) -> tuple[Float[Array, "batch depth intra *extended"], bool]:
    """Values laid out so that output i is a sum over values i … i + taps − 1, along each axis of space.

    A circle closes after the last token of a row, not after its padding: a row gives the same however far it is padded.

    Arguments:
        v: values, padding zero.
        taps: of the relative positions; tap s acts on the position s − taps // 2 away ("causal": s − taps + 1).
        boundary: "circular", "zero" or "causal".
        mask: True where there is a token, or None; one-dimensional sequences only.

    Returns:
        the values, longer by taps − 1; or of the same length, and True, if the sum itself wraps around.
    """
    axes = tuple(range(-len(taps), 0))
    before = [n - 1 if boundary == "causal" else n // 2 for n in taps]
    if boundary != "circular":
        padding = [(b, n - 1 - b) for b, n in zip(before, taps, strict=True)]
        return jnp.pad(v, [(0, 0)] * (v.ndim - len(taps)) + padding), False
    if mask is None:
        return jnp.roll(v, before, axes), True
    length = jnp.max(jnp.where(mask, jnp.arange(1, mask.shape[1] + 1), 1), axis=1)
    seen = jnp.arange(v.shape[-1] + taps[0] - 1) - before[0]
    # Tokens first, so that what is gathered, and scattered by the gradient, is whole vectors.
    tokens = jnp.moveaxis(v, -1, 1)
    index = (seen % length[:, None])[:, :, None, None]
    return jnp.moveaxis(jnp.take_along_axis(tokens, index, axis=1), 1, -1), False
