"""Data sets by name: each module has `load(config) -> Dataset`."""

from nets.config import Config
from nets.data import digits, fashion, imdb
from nets.data.dataset import Dataset as Dataset
from nets.data.dataset import Split as Split
from nets.data.dataset import batches as batches

LOADERS = {"digits": digits.load, "imdb": imdb.load, "fashion-mnist": fashion.load}


def load(config: Config) -> Dataset:
    """The data set that `config.data` names.

    Raises:
        ValueError: its data are missing, empty or not finite, with the place named.
    """
    return LOADERS[config.data](config)
