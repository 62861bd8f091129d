"""Handwritten digits, 1,797 images of 8×8 pixels that come with scikit-learn."""

import numpy as np

from nets.config import Config
from nets.data._baselines import image_baselines
from nets.data._dataset import Dataset, Split, hold_out


def load(config: Config) -> Dataset:
    """20 % of the images are the test set and 10 % of the others validation, always the same ones.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    # Grey values run from 0 to 16.
    images = (images / 8 - 1).reshape(-1, 8, 8).astype(np.float32)
    others, test = hold_out(Split(images, labels.astype(np.int32)), 0.2, seed=0)
    train, validation = hold_out(others, 0.1, seed=1)
    baseline = image_baselines(*((split.rows, split.labels) for split in (train, test)))
    return Dataset(train, validation, test, classes=10, image=(8, 8), baseline=baseline)
