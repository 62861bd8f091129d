"""Handwritten digits, 1,797 images of 8×8 pixels that come with scikit-learn; 2×2 patches are the tokens."""

import numpy as np

from nets.config import Config
from nets.data.dataset import Dataset, Split, hold_out

PATCH = 2


def load(config: Config) -> Dataset:
    """20 % of the images are the test set and 10 % of the rest validation, drawn with a seed that never changes.

    Raises:
        ValueError: `length` is smaller than the number of patches.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    side = 8 // PATCH
    # Grey values run from 0 to 16.
    patches = (images / 8 - 1).reshape(-1, side, PATCH, side, PATCH).transpose(0, 1, 3, 2, 4).reshape(len(images), side**2, PATCH**2)
    if config.length is not None and config.length < side**2:
        raise ValueError(f"`length` must be at least {side**2}, the patches of an image, got {config.length}.")
    everything = Split(patches.astype(np.float32), labels.astype(np.int32))
    rest, test = hold_out(everything, 0.2, seed=0)
    train, validation = hold_out(rest, 0.1, seed=1)
    return Dataset(train, validation, test, classes=10, inputs=PATCH**2)
