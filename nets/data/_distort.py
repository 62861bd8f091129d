"""Training images that are turned, stretched, slanted and moved a little, at random."""

import numpy as np
import scipy.ndimage


def distort(images: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Each image under an affine map of its own, near the identity.

        result(r) = image(A r + b),   A = 1 + s U,   b = s u

    r runs from −1 to 1 over the height and the width of an image, and the elements of U and u are uniform
    between −1 and 1. Values between pixels are interpolated linearly; beyond its edge an image is as dark as
    its darkest pixel.

    Arguments:
        images: shape (images, rows, columns), any unit.
        strength: s.
        rng: draws the maps.

    Returns:
        shape and unit of `images`.

    Source: P. Y. Simard, D. Steinkraus and J. C. Platt, ICDAR (2003): affine distortions of digits.
    """
    count, *size = images.shape
    maps = np.eye(2, 3) + strength * rng.uniform(-1, 1, (count, 2, 3))
    half = np.array(size)[:, None, None] / 2
    rows, columns = (np.arange(n) + 0.5 - n / 2 for n in size)
    # In units of half an image, with a row of ones for the shift.
    grid = np.stack([*np.meshgrid(rows / half[0, 0], columns / half[1, 0], indexing="ij"), np.ones(size)])
    places = np.einsum("nij,jyx->inyx", maps, grid) * half[:, None] + half[:, None] - 0.5
    numbers = np.broadcast_to(np.arange(count)[:, None, None], images.shape)
    darkest = images.min(axis=(1, 2), keepdims=True)
    moved = scipy.ndimage.map_coordinates(images - darkest, [numbers, *places], order=1, mode="grid-constant")
    return (moved + darkest).astype(images.dtype)
