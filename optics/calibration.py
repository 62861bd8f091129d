"""What is measured once about a device and undone in numbers."""

import equinox as eqx
import jax.numpy as jnp

from optics.device import FourierProcessor
from optics.transfer import dft


def equalize(device: FourierProcessor) -> FourierProcessor:
    """Set the device's real gains before and after so that it comes closest to the exact transform.

    The device transforms one lit pixel after the other, without noise. With T what it gives and F the exact
    transform, the amplitudes of the best rank-one factor post ⊗ pre of T / F (by the singular value decomposition)
    are what the optics dims each pixel by; their inverses become `post` and `pre`.

    Arguments:
        device: a `FourierProcessor` of at most a few hundred pixels (it takes one probe a pixel).

    Returns:
        the device with `pre`, `post` of shape (rows, columns) replaced; brightest `pre` is 1.
    """
    rows, cols = device.shape
    probes = jnp.eye(rows * cols).reshape(-1, rows, cols)
    plain = eqx.tree_at(lambda d: (d.pre, d.post), device, (jnp.ones((rows, cols)), jnp.ones((rows, cols))))
    columns = plain.transform(probes).reshape(rows * cols, -1).T
    ratio = columns / dft((rows, cols)).matrix
    left, strength, right = jnp.linalg.svd(ratio)
    after, before = jnp.abs(left[:, 0]) * strength[0], jnp.abs(right[0])
    pre = jnp.min(before) / before
    post = 1 / (after * jnp.min(before))
    return eqx.tree_at(lambda d: (d.pre, d.post), device, (pre.reshape(rows, cols), post.reshape(rows, cols)))
