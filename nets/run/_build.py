"""The network and the device that a `Config` describes."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import optics
from nets.config import Config, named_numbers
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


def build_device(config: Config, **overrides: Any) -> Any:
    """The device by preset name, None for "none".

    Arguments:
        config: names the preset, its numbers and its unit, and the embedding that it has to fit.
        overrides: fields of the preset to set otherwise.

    Raises:
        ValueError: unknown preset, field or value, or a device of other pixels than the embedding that it is to convolve.
    """
    if config.device == "none":
        return None
    if config.device not in optics.presets.names():
        raise ValueError(
            f"`device` must be none or a preset, one of {', '.join(optics.presets.names())}; got {config.device!r}."
        )
    overrides = named_numbers("numbers", config.numbers, "photons=1000") | overrides
    if config.unit is not None:
        overrides["unit"] = jax.random.key(config.unit)
    if config.model in ("lambda", "lambda-resnet") and config.maps is None:
        # Their convolutions run over positions, cut to whatever size the device has.
        return optics.presets.load(config.device, **overrides)
    plane = (1,) * (2 - len(config.shape)) + config.shape
    # The exact transform has any size; hardware has the size it has.
    overrides |= {"pixels": plane} if config.device == "ideal" else {}
    device = optics.presets.load(config.device, **overrides)
    if device.shape != plane:
        raise ValueError(
            f"`device` {config.device} has {device.shape[0]}×{device.shape[1]} pixels but model {config.model} has an embedding of "
            f"{plane[0]}×{plane[1]}; "
            + (f"set `shape` to {device.shape[0]} {device.shape[1]}, or " * (config.model == "conv2d"))
            + "set `device` to ideal or none."
        )
    return device


def build_model(config: Config, dataset: Dataset, rngs: nnx.Rngs) -> nnx.Module:
    """The classifier, with new weights.

    Raises:
        ValueError: as its parts, by the names of the fields.
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
    # Rounded where it is safe: not in norms, attention, optics and logits, nor in tables of vectors, whose gradients add up.
    dtype = {"float32": None, "mixed": jnp.bfloat16}[config.precision]
    tokens = config.length if dataset.image is None else math.prod(n // config.patch for n in dataset.image)

    def feed_forward():
        if config.maps is None:
            return None
        return ConvFeedForward(config.shape, config.maps, config.kernel, gradient=config.gradient, rngs=rngs)

    def block():
        mixer = MIXERS[config.model](config, tokens, rngs)
        about = {
            "dropout": config.dropout,
            "norm": config.order,
            "dtype": dtype,
            "layer_scale": config.layer_scale,
        }
        return Block(mixer, feed_forward=feed_forward(), **about, rngs=rngs)

    blocks = [] if config.model == "mean" else [block() for _ in range(config.depth)]
    width = math.prod(config.shape) if config.model == "mean" else blocks[0].attention.features
    if dataset.image is None:
        rows, labels = dataset.train.rows, dataset.train.labels
        weights = (
            naive_bayes_ratios(rows, labels, dataset.classes, config.pairs) if config.weighted_pairs else None
        )
        embedding = TokenEmbedding(
            dataset.vocabulary, tokens, width, config.pairs, config.pair_width, weights, rngs=rngs
        )
    else:
        embedding = ImageEmbedding(dataset.image, config.patch, width, dtype=dtype, rngs=rngs)
    if config.fixed:
        for one in blocks:
            freeze(one.attention)
    rates = (config.dropout, config.token_dropout)
    return Classifier(
        embedding, blocks, dataset.classes, *rates, config.final_norm, features=width, rngs=rngs
    )


def parameters(model: nnx.Module) -> dict[str, int]:
    """Numbers that are trained: all of them, and those of the layers that mix tokens."""
    sizes = {path: leaf.size for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    mixers = sum(size for path, size in sizes.items() if {"attention", "lambdas"} & set(path))
    return {"all": sum(sizes.values()), "mixers": mixers}


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


# What mixes the tokens, by the name of the model: (config, tokens, rngs) -> layer.
MIXERS: dict[str, Callable] = {
    "linear": _linear,
    "conv1d": _convolutional,
    "conv2d": _convolutional,
    "lambda": _lambda,
    "fourier": _fourier,
}
