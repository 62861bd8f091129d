"""The network and the device that a `Config` describes."""

from typing import Any

from flax import nnx

import optics
from nets.attention import ConvSelfAttention, LinearSelfAttention
from nets.config import Config
from nets.data import Dataset
from nets.transformer import Block, Classifier, PatchEmbedding, TokenEmbedding


def build_device(config: Config) -> Any:
    """The device by preset name, None for "none".

    Raises:
        ValueError: unknown preset, or a device of other pixels than the embedding.
    """
    if config.device == "none":
        return None
    if config.device not in optics.presets.names():
        raise ValueError(f"`device` must be none or a preset, one of {', '.join(optics.presets.names())}; got {config.device!r}.")
    plane = (1,) * (2 - len(config.shape)) + config.shape
    # The exact transform has any size; hardware has the size it has.
    device = optics.presets.load("ideal", pixels=plane) if config.device == "ideal" else optics.presets.load(config.device)
    if device.shape != plane:
        raise ValueError(
            f"`device` {config.device} has {device.shape[0]}×{device.shape[1]} pixels but model {config.model} has an embedding of "
            f"{plane[0]}×{plane[1]}; "
            + (f"set `shape` to {device.shape[0]} {device.shape[1]}, or " * (config.model == "conv2d"))
            + "set `device` to ideal or none."
        )
    return device


def build_model(config: Config, dataset: Dataset, rngs: nnx.Rngs) -> Classifier:
    """The classifier, with new weights."""
    convolve = {"simulator": optics.convolve, "ideal": optics.ideal_gradient(optics.convolve)}[config.gradient]

    def attention():
        if config.model == "linear":
            return LinearSelfAttention(config.shape[0], config.heads, rngs=rngs)
        return ConvSelfAttention(config.shape, config.heads, config.kernel, convolve=convolve, rngs=rngs)

    blocks = [Block(attention(), dropout=config.dropout, rngs=rngs) for _ in range(config.depth)]
    width = blocks[0].attention.features
    if dataset.vocabulary is None:
        embedding = PatchEmbedding(dataset.inputs, config.length, width, rngs=rngs)
    else:
        embedding = TokenEmbedding(dataset.vocabulary, config.length, width, rngs=rngs)
    return Classifier(embedding, blocks, dataset.classes, dropout=config.dropout, rngs=rngs)
