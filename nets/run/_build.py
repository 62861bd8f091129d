"""The network and the device that a `Config` describes."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import optics
from nets.config import (
    LANGUAGE,
    OF_MULTIPLIER,
    Config,
    default_plane,
    has_convolutions,
    has_planes,
    overrides_for,
    parse_numbers,
    preset_plane,
    resolve,
    size_parameter,
)
from nets.data import Dataset
from nets.layers import (
    ConvFeedForward,
    ConvSelfAttention,
    FourierMixing,
    ImageEmbedding,
    LambdaLayer,
    LinearSelfAttention,
    LongConvolution,
    TokenEmbedding,
    TokenMean,
    freeze,
    naive_bayes_ratios,
)
from nets.models import Block, Classifier, LambdaResNet, LanguageModel
from nets.run._environment import transfers_folder
from optics._keys import as_fast_key
from optics._typing import DeviceLike


def build_device(config: Config, key: jax.Array | None = None, **overrides: Any) -> DeviceLike:
    """The device that computes the convolutions of a run, its products of matrices, or both; None is exact.

    Arguments:
        config: a resolved configuration: the presets, their overrides and unit, and the embedding that the
            one that convolves has to fit.
        key: of the physical unit to draw, which may be traced where `config.cache` is None; None is that of
            `config.unit`.
        overrides: more parameters of the presets; names of those of the multiplier begin with "multiplier.".

    Raises:
        ValueError: unknown preset, parameter or value, a device of another size than the embedding, or a
            multiplier that has no product of matrices.
    """
    overrides = parse_numbers("overrides", config.overrides, "--set photons=1000") | overrides
    of_multiplier = {
        name.removeprefix(OF_MULTIPLIER): overrides.pop(name)
        for name in list(overrides)
        if name.startswith(OF_MULTIPLIER) and config.products == "device"
    }
    if key is None and config.unit is not None:
        key = jax.random.key(config.unit)
    if key is not None:
        overrides |= {} if config.device == "none" else {"unit": key}
        # Other patterns than those of the device that convolves.
        of_multiplier["unit"] = jax.random.fold_in(key, 1)
    engine = _build_engine(config, overrides)
    if config.products == "electronic":
        return engine
    multiplier = _build_multiplier(config, of_multiplier, engine)
    if not has_convolutions(config):
        return multiplier
    if engine is None:
        # Exact, and a device: the layers ask for one that convolves and multiplies.
        engine = optics.presets.load("ideal", pixels=_plane(config))
    return optics.Devices(convolve=engine, matmul=multiplier)


def choose_device(config: Config, device: str | None = None, multiplier: str | None = None) -> Config:
    """The same run on other devices.

    Arguments:
        config: a resolved configuration.
        device: preset that convolves, or "none", which makes the whole network exact unless `multiplier` is
            given too; None is that of the run.
        multiplier: preset that multiplies matrices, "convolutions", or "none" for electronic products; None
            is that of the run.

    Returns:
        a resolved configuration. Overrides and unit of the run go with its own devices alone.

    Raises:
        ValueError: options that do not fit together, by name.
    """
    before = config
    if (device == "none" and multiplier is None) or multiplier == "none":
        engine = config.device if has_convolutions(config) else "none"
        config = replace(config, device=engine, products="electronic", multiplier=None)
    elif multiplier is not None:
        config = replace(config, products="device", multiplier=multiplier)
    if device is not None:
        config = replace(config, device=device)
    same_device, same_multiplier = config.device == before.device, config.multiplier == before.multiplier
    overrides = tuple(
        text
        for text in config.overrides
        if (same_multiplier if text.startswith(OF_MULTIPLIER) else same_device)
    )
    has_unit = same_device and not (config.device == "none" and config.products == "electronic")
    config = replace(config, overrides=overrides, unit=config.unit if has_unit else None)
    # Units and measured gains are those of training.
    config = replace(config, units=None, units_per_step=1, objective="mean", level=None, loss_bound=None)
    config = replace(config, layer_scale=1.0) if config.layer_scale == "measured" else config
    return resolve(config) if config.products == "device" else config


def _build_engine(config: Config, overrides: dict[str, Any]) -> DeviceLike:
    """The device that convolves."""
    if config.device == "none":
        if overrides:
            raise ValueError(
                f"`overrides` has {next(iter(overrides))}, of a `device` that is none; parameters of the "
                f"multiplier begin with {OF_MULTIPLIER}"
            )
        return None
    if config.device not in optics.presets.names():
        raise ValueError(
            f"`device` must be none or a preset, one of {', '.join(optics.presets.names())}; got "
            f"{config.device!r}."
        )
    # Products, and convolutions over positions, run in tiles of any size.
    load = _load_in_size if has_planes(config) else _load_as_it_is
    device = load(config, overrides)
    _check_operations(config, device)
    return device


def _load_as_it_is(config: Config, overrides: dict[str, Any]) -> optics.AbstractDevice:
    return _load_preset(config, config.device, overrides)


def _load_preset(config: Config, name: str, overrides: dict[str, Any]) -> optics.AbstractDevice:
    """A preset, whose lenses are compiled anew where those that are kept cannot be used."""
    folder = transfers_folder(config.cache)
    try:
        return optics.presets.load(name, folder=folder, **overrides)
    except ValueError as error:
        if folder is None or not str(error).startswith("`folder`"):
            raise
        reason = str(error).replace("`folder`", "`cache`", 1)
        print(f"{reason} Lenses are compiled anew, and not kept.", file=sys.stderr)
        return optics.presets.load(name, **overrides)


def _load_in_size(config: Config, overrides: dict[str, Any]) -> optics.AbstractDevice:
    """The preset in the size of the embedding: its own, or the one that a parameter of it sets."""
    name = size_parameter(config.device)
    plane, own = _plane(config), preset_plane(config.device, overrides)
    is_no_size = own is None and name in overrides
    if name is None or plane == own or is_no_size or _shares_exposures(config, own, name in overrides):
        return _load_as_it_is(config, overrides)
    refusal = (
        f"`device` {config.device} cannot take the embedding of {plane[0]}×{plane[1]} that `model` "
        f"{config.model} has"
    )
    remedy = _remedy(config, default_plane(config.device, overrides))
    if name in overrides:
        raise ValueError(f"{refusal}: `overrides` set {name} to {overrides[name]}. {remedy}")
    if name == "waveguides" and plane[0] != 1:
        raise ValueError(f"{refusal}: it takes one row of numbers. {remedy}")
    try:
        return _load_as_it_is(config, overrides | overrides_for(config.device, plane))
    except ValueError as error:
        if not str(error).startswith(f"`{name}`"):
            raise
        raise ValueError(f"{refusal}: {error} {remedy}") from None


def _shares_exposures(config: Config, own: tuple[int, int] | None, is_set: bool) -> bool:
    """Whether several embeddings have room on the device in the size that it was set to, and its layers only
    convolve.
    """
    if not is_set or own is None or config.spectral or config.model == "fourier":
        return False
    taps = config.shape if config.kernel is None else config.kernel
    try:
        optics.mapping.plan_packed(_plane(config), (1,) * (2 - len(taps)) + taps, own)
    except ValueError:
        return False
    return True


def _remedy(config: Config, fitting: tuple[int, int] | None) -> str:
    """What a user can do about an embedding that a device does not take, as a sentence."""
    other = "or set --device to ideal or none."
    if config.model in ("conv2d", "fourier") and fitting is not None:
        return f"Leave --shape out, which makes it {fitting[0]}×{fitting[1]}, {other}"
    if fitting is not None and fitting[0] == 1:
        return f"Leave --shape out, which makes it {fitting[1]}, {other}"
    return "Set --model to conv2d, or --device to jtc, ideal or none."


def _check_operations(config: Config, device: optics.AbstractDevice) -> None:
    """Refuse a device that cannot compute what the network gives to it."""
    transforms = config.spectral or config.model == "fourier"
    convolves = not transforms or config.feedforward_maps is not None
    if convolves and not device.supports(optics.AbstractDevice.convolve):
        raise ValueError(
            f"`device` {config.device} has no convolution; set --device to one that has, such as engine11, or"
            f" none, and for products of matrices --products to device and --multiplier to {config.device}."
        )
    if transforms and not device.supports(optics.AbstractDevice.transform):
        remedy = "leave --spectral out" if config.spectral else "set --model to conv2d"
        raise ValueError(
            f"`device` {config.device} has no Fourier transform of its own, which "
            f"{'spectral attention' if config.spectral else 'model fourier'} takes; {remedy}, or set "
            "--device to one that has, such as engine11 or slm-4f."
        )


def _build_multiplier(config: Config, overrides: dict[str, Any], engine: DeviceLike) -> DeviceLike:
    """The device that multiplies matrices."""
    if config.multiplier == "convolutions":
        return optics.CirculantMultiplier(engine)
    if config.multiplier not in optics.presets.names():
        raise ValueError(
            "`multiplier` must be convolutions, or a preset that multiplies matrices, one of "
            f"{', '.join(optics.presets.names())}; got {config.multiplier!r}."
        )
    multiplier = _load_preset(config, config.multiplier, overrides)
    if not multiplier.supports(optics.AbstractDevice.matmul):
        raise ValueError(
            f"`multiplier` {config.multiplier} has no product of matrices; set --multiplier to a preset that "
            f"has, or --device to {config.multiplier} and --multiplier to convolutions."
        )
    return multiplier


def _plane(config: Config) -> tuple[int, int]:
    """The embedding as a plane."""
    return (1,) * (2 - len(config.shape)) + config.shape


def build_model(config: Config, dataset: Dataset, rngs: nnx.Rngs) -> nnx.Module:
    """The network, with new weights.

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
    tokens = (
        config.max_tokens if dataset.image is None else math.prod(n // config.patch for n in dataset.image)
    )
    if config.task in LANGUAGE:
        return build_language_model(config, dataset.vocabulary, rngs)
    depth = 0 if config.model == "mean" else config.depth
    blocks = [_block(config, tokens, rngs) for _ in range(depth)]
    width = blocks[0].attention.features if blocks else math.prod(config.shape)
    if dataset.image is None:
        embedding = _token_embedding(config, dataset, tokens, width, rngs)
    else:
        embedding = ImageEmbedding(dataset.image, config.patch, width, dtype=_dtype(config), rngs=rngs)
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


def seed_rngs(seed: int) -> nnx.Rngs:
    """The generators `nnx.Rngs(seed)`, whose draws compile faster."""
    return nnx.Rngs(as_fast_key(jax.random.key(seed)))


def build_language_model(config: Config, vocabulary: int, rngs: nnx.Rngs) -> LanguageModel:
    """The network that predicts tokens, with new weights.

    Arguments:
        config: a resolved configuration of task language or masked.
        vocabulary: number of tokens, padding included.
        rngs: for the initial weights and for dropout.

    Raises:
        ValueError: an option that its layers refuse, by name.
    """
    blocks = [_block(config, config.max_tokens, rngs) for _ in range(config.depth)]
    sizes = vocabulary, config.max_tokens, blocks[0].attention.features, config.bigrams, config.bigram_width
    return LanguageModel(TokenEmbedding(*sizes, rngs=rngs), blocks, config.dropout, rngs=rngs)


def count_parameters(model: nnx.Module) -> dict[str, int]:
    """Number of trained parameters: of the network ("all"), and of the layers that mix tokens ("mixers")."""
    sizes = {path: leaf.size for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    mixers = sum(size for path, size in sizes.items() if {"attention", "lambdas"} & set(path))
    return {"all": sum(sizes.values()), "mixers": mixers}


def _dtype(config: Config) -> Any:
    """Of the factors of products. bfloat16 is safe there; it is not in norms, attention, optics, logits, and
    tables of vectors, whose gradients add up.
    """
    return {"float32": None, "mixed": jnp.bfloat16}[config.precision]


def _block(config: Config, tokens: int, rngs: nnx.Rngs) -> Block:
    mixer, dtype = MIXERS[config.model](config, tokens, rngs), _dtype(config)
    if config.freeze_mixers:
        freeze(mixer)
    feed_forward = None
    if config.feedforward_maps is not None:
        feed_forward = ConvFeedForward(
            config.shape, config.feedforward_maps, config.kernel, gradient=config.gradient, rngs=rngs
        )
    optical = {}
    if feed_forward is None and config.products == "device":
        # The converters of the device round, not the factors.
        optical, dtype = {"products": "device", "gradient": config.gradient}, None
    return Block(
        mixer,
        feed_forward=feed_forward,
        dropout=config.dropout,
        norm=config.norm,
        dtype=dtype,
        # A measured one is set by `nets.run.measure_layer_scales`.
        layer_scale=1.0 if config.layer_scale == "measured" else config.layer_scale,
        **optical,
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
    return LinearSelfAttention(
        config.shape[0],
        config.heads,
        config.attention,
        causal=config.task == "language",
        products=config.products,
        gradient=config.gradient,
        rngs=rngs,
    )


def _convolutional(config: Config, tokens: int, rngs: nnx.Rngs) -> ConvSelfAttention:
    return ConvSelfAttention(
        config.shape,
        config.heads,
        config.kernel,
        config.spectral,
        causal=config.task == "language",
        products=config.products,
        gradient=config.gradient,
        rngs=rngs,
    )


def _lambda(config: Config, tokens: int, rngs: nnx.Rngs) -> LambdaLayer:
    return LambdaLayer(
        config.shape[0],
        config.heads,
        config.key_depth,
        _scope(config, tokens),
        config.boundary,
        normalization=config.normalization,
        gradient=config.gradient,
        rngs=rngs,
    )


def _scope(config: Config, tokens: int) -> int:
    """Relative positions that a layer reaches, by default all."""
    return config.scope or (2 * tokens - 1 if config.boundary == "zero" else tokens)


def _long_convolution(config: Config, tokens: int, rngs: nnx.Rngs) -> LongConvolution:
    return LongConvolution(
        config.shape[0], _scope(config, tokens), config.boundary, gradient=config.gradient, rngs=rngs
    )


def _mean(config: Config, tokens: int, rngs: nnx.Rngs) -> TokenMean:
    return TokenMean(math.prod(config.shape), causal=config.task == "language")


def _fourier(config: Config, tokens: int, rngs: nnx.Rngs) -> FourierMixing:
    return FourierMixing(math.prod(config.shape), config.shape, gradient=config.gradient)


# The layer that mixes tokens, by the name of the model: (config, tokens, rngs) -> layer.
MIXERS: dict[str, Callable] = {
    "linear": _linear,
    "conv1d": _convolutional,
    "conv2d": _convolutional,
    "lambda": _lambda,
    "long-conv": _long_convolution,
    "mean": _mean,
    "fourier": _fourier,
}
