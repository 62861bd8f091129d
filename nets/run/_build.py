"""The network and the device that a `Config` describes."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import optics
from nets.config import LAMBDA, Config, parse_numbers
from nets.data import Dataset
from nets.layers import (
    ConvFeedForward,
    ConvSelfAttention,
    FourierMixing,
    ImageEmbedding,
    LambdaLayer,
    LinearSelfAttention,
    TokenEmbedding,
    freeze,
    naive_bayes_ratios,
)
from nets.models import Block, Classifier, LambdaResNet
from optics._typing import DeviceLike


def build_device(config: Config, **overrides: Any) -> DeviceLike:
    """The device that computes the convolutions of a run; None for the exact FFT.

    Arguments:
        config: a resolved configuration: the preset, its overrides and unit, and the embedding that it has to
            fit.
        overrides: more parameters of the preset.

    Raises:
        ValueError: unknown preset, parameter or value, or a device of another size than the embedding.
    """
    if config.device == "none":
        return None
    if config.device not in optics.presets.names():
        raise ValueError(
            f"`device` must be none or a preset, one of {', '.join(optics.presets.names())}; got "
            f"{config.device!r}."
        )
    overrides = parse_numbers("overrides", config.overrides, "--set photons=1000") | overrides
    if config.unit is not None:
        overrides["unit"] = jax.random.key(config.unit)
    if config.model in LAMBDA and config.feedforward_maps is None:
        # Their convolutions run over positions, in tiles of any size.
        return optics.presets.load(config.device, **overrides)
    plane = (1,) * (2 - len(config.shape)) + config.shape
    # Hardware has a fixed size, the ideal device any.
    overrides |= {"pixels": plane} if config.device == "ideal" else {}
    device = optics.presets.load(config.device, **overrides)
    if device.shape != plane:
        rows, columns = device.shape
        raise ValueError(
            f"`device` {config.device} has {rows}×{columns} pixels but model {config.model} has an embedding "
            "of "
            f"{plane[0]}×{plane[1]}; "
            + (f"set --shape to {rows} {columns}, or " * (config.model == "conv2d"))
            + "set --device to ideal or none."
        )
    return device


def build_model(config: Config, dataset: Dataset, rngs: nnx.Rngs) -> nnx.Module:
    """The classifier, with new weights.

    Arguments:
        config: a resolved configuration.
        dataset: gives the sizes of images, vocabulary and classes.
        rngs: for the initial weights and for dropout.

    Raises:
        ValueError: an option that its layers refuse, by name.
    """
    if config.model == "lambda-resnet":
        return LambdaResNet(
            dataset.image,
            dataset.classes,
            config.shape,
            config.depth,
            config.heads,
            config.key_depth,
            config.scope,
            config.boundary,
            gradient=config.gradient,
            rngs=rngs,
        )
    # bfloat16 is safe here; it is not in norms, attention, optics, logits, and tables of vectors, whose
    # gradients add up.
    dtype = {"float32": None, "mixed": jnp.bfloat16}[config.precision]
    tokens = (
        config.max_tokens if dataset.image is None else math.prod(n // config.patch for n in dataset.image)
    )
    depth = 0 if config.model == "mean" else config.depth
    blocks = [_block(config, tokens, dtype, rngs) for _ in range(depth)]
    width = blocks[0].attention.features if blocks else math.prod(config.shape)
    if dataset.image is None:
        embedding = _token_embedding(config, dataset, tokens, width, rngs)
    else:
        embedding = ImageEmbedding(dataset.image, config.patch, width, dtype=dtype, rngs=rngs)
    if config.freeze_mixers:
        for block in blocks:
            freeze(block.attention)
    return Classifier(
        embedding,
        blocks,
        dataset.classes,
        config.dropout,
        config.token_dropout,
        config.final_norm,
        features=width,
        rngs=rngs,
    )


def count_parameters(model: nnx.Module) -> dict[str, int]:
    """Number of trained parameters: of the network ("all"), and of the layers that mix tokens ("mixers")."""
    sizes = {path: leaf.size for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    mixers = sum(size for path, size in sizes.items() if {"attention", "lambdas"} & set(path))
    return {"all": sum(sizes.values()), "mixers": mixers}


def _block(config: Config, tokens: int, dtype: Any, rngs: nnx.Rngs) -> Block:
    mixer = MIXERS[config.model](config, tokens, rngs)
    feed_forward = None
    if config.feedforward_maps is not None:
        feed_forward = ConvFeedForward(
            config.shape, config.feedforward_maps, config.kernel, gradient=config.gradient, rngs=rngs
        )
    return Block(
        mixer,
        feed_forward=feed_forward,
        dropout=config.dropout,
        norm=config.norm,
        dtype=dtype,
        layer_scale=config.layer_scale,
        rngs=rngs,
    )


def _token_embedding(
    config: Config, dataset: Dataset, tokens: int, width: int, rngs: nnx.Rngs
) -> TokenEmbedding:
    ratios = None
    if config.weighted_bigrams:
        ratios = naive_bayes_ratios(dataset.train.rows, dataset.train.labels, dataset.classes, config.bigrams)
    return TokenEmbedding(
        dataset.vocabulary, tokens, width, config.bigrams, config.bigram_width, ratios, rngs=rngs
    )


def _linear(config: Config, tokens: int, rngs: nnx.Rngs) -> LinearSelfAttention:
    return LinearSelfAttention(config.shape[0], config.heads, config.attention, rngs=rngs)


def _convolutional(config: Config, tokens: int, rngs: nnx.Rngs) -> ConvSelfAttention:
    return ConvSelfAttention(
        config.shape, config.heads, config.kernel, config.spectral, gradient=config.gradient, rngs=rngs
    )


def _lambda(config: Config, tokens: int, rngs: nnx.Rngs) -> LambdaLayer:
    scope = config.scope or {"circular": tokens, "zero": 2 * tokens - 1}[config.boundary]
    return LambdaLayer(
        config.shape[0],
        config.heads,
        config.key_depth,
        scope,
        config.boundary,
        normalization=config.normalization,
        gradient=config.gradient,
        rngs=rngs,
    )


def _fourier(config: Config, tokens: int, rngs: nnx.Rngs) -> FourierMixing:
    return FourierMixing(math.prod(config.shape), config.shape, gradient=config.gradient)


# The layer that mixes tokens, by the name of the model: (config, tokens, rngs) -> layer.
MIXERS: dict[str, Callable] = {
    "linear": _linear,
    "conv1d": _convolutional,
    "conv2d": _convolutional,
    "lambda": _lambda,
    "fourier": _fourier,
}
