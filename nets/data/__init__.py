"""Data sets by name: each module has `load(config) -> Dataset`."""

from dataclasses import replace

from nets.config import Config
from nets.data import _digits as digits
from nets.data import _fashion as fashion
from nets.data import _imdb as imdb
from nets.data._dataset import Dataset as Dataset
from nets.data._dataset import Split as Split
from nets.data._dataset import batches as batches
from nets.data._dataset import first as first
from nets.data._dataset import gathered as gathered
from nets.data._dataset import planned as planned

LOADERS = {"digits": digits.load, "imdb": imdb.load, "fashion-mnist": fashion.load}


def load(config: Config, tokenizer: str | None = None) -> Dataset:
    """The data set that `config.data` names.

    Arguments:
        config: names the data set.
        tokenizer: of text, the tokenizer.json of an earlier run, used in place of a new one; the baseline is not made again.

    Raises:
        ValueError: its data are missing, empty or not finite, with the place named, or fewer than `config.examples`.
    """
    found = LOADERS[config.data](config) if tokenizer is None else LOADERS[config.data](config, tokenizer)
    if config.examples is None:
        return found
    if config.examples > len(found.train.labels):
        raise ValueError(
            f"`examples` must be at most the {len(found.train.labels)} rows of the training set, got {config.examples}."
        )
    train, validation = (
        first(found.train, config.examples),
        first(found.validation, -(-config.examples // 10)),
    )
    return replace(found, train=train, validation=validation)
