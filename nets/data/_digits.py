"""Handwritten digits, 1,797 images of 8×8 pixels that come with scikit-learn."""

import numpy as np

from nets.config import Config
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
    return Dataset(train, validation, test, classes=10, image=(8, 8), baseline=measure_baselines(train, test))


def measure_baselines(train: Split, test: Split) -> dict[str, float]:
    """Test accuracies of two classifiers of scikit-learn, fitted to the training pixels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    classifiers = {
        "logistic_regression_accuracy": LogisticRegression(max_iter=1000),
        "nearest_neighbours_accuracy": KNeighborsClassifier(3),
    }
    fit, score = ((split.rows.reshape(len(split.labels), -1), split.labels) for split in (train, test))
    # Threads take longer to meet than these small products take, and the sums depend on their number.
    with threadpool_limits(1):
        return {name: classifier.fit(*fit).score(*score) for name, classifier in classifiers.items()}
