"""Data sets by name, and their batches.

    dataset = nets.data.load(nets.Config(data="digits"))
    for rows, labels, weights in nets.data.batches(dataset.train, 32):
        ...

A data set NAME is a module `nets/data/_NAME.py` with `load(config) -> Dataset`, and a line in `DATA_DEFAULTS`
of `nets/config/_config.py`. In the data sets reviews and text the labels are tokens too: the
next ones, or those that were hidden.

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
| `train_subwords` | a byte-pair encoding from which any text comes back              |
| `read_tokenizer` | the tokenizer of a run                                           |
| `is_lossless`   | whether a tokenizer gives back any text                           |
| `pack`          | documents in rows of one length, the next tokens as labels        |
| `mask_tokens`   | tokens hidden at random, for networks that find them              |
| `END`           | the token that ends a document                                    |
"""

from dataclasses import replace
from importlib import import_module

from nets.config import Config, resolve
from nets.data._dataset import Batch as Batch
from nets.data._dataset import Dataset as Dataset
from nets.data._dataset import Split as Split
from nets.data._dataset import batches as batches
from nets.data._dataset import check_examples
from nets.data._dataset import head as head
from nets.data._dataset import hold_out as hold_out
from nets.data._dataset import make_batch as make_batch
from nets.data._dataset import merge_batches as merge_batches
from nets.data._dataset import plan_batches as plan_batches
from nets.data._distort import distort as distort
from nets.data._pack import mask_tokens as mask_tokens
from nets.data._pack import pack as pack
from nets.data._subwords import END as END
from nets.data._subwords import is_lossless as is_lossless
from nets.data._subwords import train_subwords as train_subwords
from nets.data._words import read_tokenizer as read_tokenizer

# Their `load` takes a tokenizer, and whether to measure the baselines.
TOKENIZED = ("imdb", "reviews", "text")


def load(config: Config, tokenizer: str | None = None, baseline: bool | None = None) -> Dataset:
    """The data set that `config.data` names.

    Arguments:
        config: the data set and its options; options that are None take their defaults.
        tokenizer: for the data sets imdb, reviews and text, the tokenizer.json of an earlier run; None trains
            one. imdb takes that of a language model too.
        baseline: measure the baselines; None measures them unless a tokenizer is given, since the run that
            trained it has them.

    Raises:
        ValueError: the data are missing, empty or not finite, or have fewer rows than `config.max_examples`.

    Example:
        >>> from nets import data
        >>> from nets.config import Config
        >>> data.load(Config(data="digits")).train.rows.shape
        (1294, 8, 8)
    """
    config = resolve(config)
    baseline = tokenizer is None if baseline is None else baseline
    loader = import_module(f"nets.data._{config.data.replace('-', '_')}").load
    dataset = loader(config, tokenizer, baseline) if config.data in TOKENIZED else loader(config)
    count = config.max_examples
    if count is None:
        return dataset
    check_examples(count, dataset.train)
    return replace(
        dataset, train=head(dataset.train, count), validation=head(dataset.validation, -(-count // 10))
    )
