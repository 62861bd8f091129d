"""Sizes of a run that are refused before anything is allocated."""

import math

import jax
from flax import nnx

from nets.config import LANGUAGE, Config, check_memory
from nets.data import Dataset
from nets.run._build import build_model
from nets.run._trainer import evaluation_size

# Numbers of a network, roughly, above which they are counted exactly; that takes longer than to make a few.
LARGE = 2**24
# Arrays of each weight in training: itself, its gradient and two moments.
COPIES = 4


def check_sizes(config: Config, dataset: Dataset) -> None:
    """Refuse a batch or a network that no memory of this machine could hold.

    Arguments:
        config: a resolved configuration.
        dataset: gives the sizes of rows, vocabulary and classes.

    Raises:
        ValueError: `batch_size`, or the options of the network, need more memory than there is.
    """
    width = config.shape[0] if config.model == "lambda-resnet" else math.prod(config.shape)
    row = dataset.test.rows[0]
    # The embedding of one batch, which is the least that is stored of it.
    needed = evaluation_size(config) * (row.nbytes + row.size // (config.patch or 1) ** 2 * width * 4)
    if config.task in LANGUAGE:
        # The logits of all tokens.
        needed += evaluation_size(config) * row.size * dataset.vocabulary * 4
    check_memory("batch_size", config.batch_size, needed, "one batch")
    tables = (dataset.vocabulary or 0) * width + (config.bigrams or 0) * config.bigram_width
    if config.depth * config.heads * width**2 + tables < LARGE:
        return
    model = nnx.eval_shape(lambda: build_model(config, dataset, nnx.Rngs(0)))
    needed = COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(nnx.state(model)))
    check_memory("shape", config.shape, needed, "the network, with its gradient and its optimizer")
