"""Data sets by name, and their batches.

    dataset = nets.data.load(nets.Config(data="digits"))
    for rows, labels, weights in nets.data.batches(dataset.train, 32):
        ...

A data set NAME is a module `nets/data/_NAME.py` with `load(config) -> Dataset`, and a line in `DATA_DEFAULTS`
of `nets/config/_config.py`.

| name            | content                                                           |
| --------------- | ----------------------------------------------------------------- |
| `load`          | the data set of a `Config`                                        |
| `Dataset`       | its splits `train`, `validation` and `test`, and their sizes      |
| `Split`         | rows and labels                                                   |
| `hold_out`      | split off validation rows                                         |
| `head`          | the first rows of a split                                         |
| `batches`       | one pass over a split, in batches of one size                     |
| `plan_batches`  | the rows of each batch, also by length                            |
| `make_batch`    | the batch of given rows                                           |
| `distort`       | images turned, stretched, slanted and moved at random             |
| `merge_batches` | predictions of batches in the order of the split                  |
"""

from dataclasses import replace
from importlib import import_module

from nets.config import Config, resolve
from nets.data._dataset import Batch as Batch
from nets.data._dataset import Dataset as Dataset
from nets.data._dataset import Split as Split
from nets.data._dataset import batches as batches
from nets.data._dataset import head as head
from nets.data._dataset import hold_out as hold_out
from nets.data._dataset import make_batch as make_batch
from nets.data._dataset import merge_batches as merge_batches
from nets.data._dataset import plan_batches as plan_batches
from nets.data._distort import distort as distort


def load(config: Config, tokenizer: str | None = None) -> Dataset:
    """The data set that `config.data` names.

    Arguments:
        config: the data set and its options; options that are None take their defaults.
        tokenizer: for text, the tokenizer.json of an earlier run; None trains one. With it, the baseline is
            left out then.

    Raises:
        ValueError: the data are missing, empty or not finite, or have fewer rows than `config.max_examples`.

    Example:
        >>> from nets import data
        >>> from nets.config import Config
        >>> data.load(Config(data="digits")).train.rows.shape
        (1294, 8, 8)
    """
    config = resolve(config)
    loader = import_module(f"nets.data._{config.data.replace('-', '_')}").load
    dataset = loader(config) if tokenizer is None else loader(config, tokenizer)
    count = config.max_examples
    if count is None:
        return dataset
    if count > len(dataset.train.labels):
        raise ValueError(
            f"`max_examples` must be at most the {len(dataset.train.labels)} rows of the training set, got "
            f"{count}; "
            "lower --max-examples."
        )
    return replace(
        dataset, train=head(dataset.train, count), validation=head(dataset.validation, -(-count // 10))
    )
