"""Images read pixel by pixel, as sequences of grey levels."""

import dataclasses

import numpy as np

from nets.config import Config
from nets.data import _digits, _fashion_mnist
from nets.data._dataset import Dataset, Split


def load(config: Config) -> Dataset:
    """The digits of scikit-learn, 64 tokens of 17 levels, or Fashion-MNIST from `data_path`, 784 tokens of
    256 levels, row by row; splits and baselines of those data sets.

    Raises:
        ValueError: `max_tokens` other than the number of pixels, or data that cannot be read.

    Source: the task "image" of Y. Tay et al., Long Range Arena, ICLR (2021).
    """
    module, levels = (_digits, 17) if config.data_path is None else (_fashion_mnist, 256)
    images = module.load(config)
    pixels = images.image[0] * images.image[1]
    if config.max_tokens != pixels:
        raise ValueError(f"`max_tokens` must be the {pixels} pixels of an image, got {config.max_tokens}.")

    def read(split: Split) -> Split:
        # From −1 … 1 to tokens; padding is token 0.
        grey = np.round((split.rows.reshape(-1, pixels) + 1) / 2 * (levels - 1))
        return Split(grey.astype(np.int32) + 1, split.labels)

    splits = {name: read(getattr(images, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(images, **splits, image=None, vocabulary=levels + 1)
