"""Random changes of training rows that leave their labels true."""

import numpy as np


def shift_images(
    images: np.ndarray, limit: int, rng: np.random.Generator, background: float = 0.0
) -> np.ndarray:
    """Move each image by a random whole number of pixels along each axis.

    Arguments:
        images: shape (images, height, width).
        limit: largest move in either direction, in pixels.
        rng: draws the moves, evenly from −limit to limit.
        background: value of the pixels that move in.

    Returns:
        the moved images, of the same shape.
    """
    edge = [(0, 0), (limit, limit), (limit, limit)]
    padded = np.pad(images, edge, constant_values=background)
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:], axis=(1, 2))
    down, right = rng.integers(0, 2 * limit, (2, len(images)), endpoint=True)
    return windows[np.arange(len(images)), down, right]
