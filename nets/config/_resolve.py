"""The defaults that depend on other options, and the options that do not fit together."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from nets.config._config import (
    CORPORA,
    DATA_DEFAULTS,
    LANGUAGE,
    OF_MULTIPLIER,
    SHORTEST_BUCKET,
    TEXT,
    Config,
    bucket_lengths,
    device_name,
    has_convolutions,
    has_planes,
    parse_numbers,
)
from nets.config._options import check_conditions, check_values, flag
from nets.config._preset_sizes import default_plane

MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "conv2d": {"shape": (11, 11), "device": "engine11"},
    "lambda": {"boundary": "circular"},
    "long-conv": {"boundary": "zero"},
    "lambda-resnet": {"shape": (32, 64), "boundary": "zero", "scope": 5, "patch": None, "dropout": 0.0},
}
SHAPE_AXES = {"conv2d": (2,), "fourier": (1, 2), "lambda-resnet": (1, 2, 3, 4)}  # (1,) for the others


def resolve(config: Config) -> Config:
    """Check a run and fill in the default of every option that is None.

    Raises:
        ValueError: an option of another type, outside its range, or without effect beside the others; the
            message names it.
    """
    check_values(Config, vars(config))
    defaults = default_values(config)
    check_conditions(config, defaults)
    defaults = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    config = replace(config, **defaults)
    out = config.out or next_free_folder(Path("runs") / f"{config.data}-{config.model}-{device_name(config)}")
    config = replace(config, shape=tuple(config.shape), out=Path(out))
    for check in (
        _check_task,
        _check_model,
        _check_products,
        _check_device,
        _check_layer_scale,
        _check_units,
        _check_shape,
        _check_accumulate,
        _check_precision,
        _check_buckets,
    ):
        check(config)
    return config


def default_values(config: Config) -> dict[str, Any]:
    """The defaults that depend on the data set and the model, by option."""
    task = config.task or ("language" if config.data in CORPORA else "classification")
    common = {"shape": (128,), "device": "none", "best_by": "accuracy", "task": task}
    common |= {"norm": "post", "vocabulary": 20_000}
    common |= {"multiplier": "crossbar"} if config.products == "device" else {}
    common |= {"level": 0.75} if config.objective != "mean" else {}
    common |= {"loss_bound": 0.1} if config.objective == "chance" else {}
    values = common | DATA_DEFAULTS.get(config.data, {}) | MODEL_DEFAULTS.get(config.model, {})
    values |= {"norm": "pre", "vocabulary": 2048, "best_by": "loss"} if task in LANGUAGE else {}
    values |= {"boundary": "causal"} if task == "language" and "boundary" in values else {}
    is_causal = (config.boundary or values.get("boundary")) == "causal"
    values["normalization"] = "layer" if is_causal else "batch"
    shape = _shape_of_device(config, config.device or values["device"])
    return values if shape is None else values | {"shape": shape}


def _shape_of_device(config: Config, device: str) -> tuple[int, ...] | None:
    """The embedding that fills a device; None where the device leaves it free, or where none would fit."""
    if not has_planes(config):
        return None
    overrides = parse_numbers("overrides", config.overrides, "--set photons=1000")
    plane = default_plane(device, overrides)
    if plane is None:
        return None
    axes = SHAPE_AXES.get(config.model, (1,))
    if 2 in axes:
        return plane
    return plane[1:] if plane[0] == 1 else None


def nearest_multiple(number: int, factor: int) -> int:
    """The largest multiple of the factor up to the number, and at least the factor."""
    return max(1, number // factor) * factor


def next_free_folder(folder: Path) -> Path:
    """The folder, numbered if it exists."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _check_task(config: Config) -> None:
    """Refuse a task that the data or the model cannot have."""
    if (config.task in LANGUAGE) != (config.data in CORPORA):
        remedy = "reviews or text" if config.task in LANGUAGE else "imdb, for example"
        tasks = " or ".join(LANGUAGE if config.data in CORPORA else ("classification",))
        raise ValueError(
            f"`task` {config.task} does not go with data {config.data}; set --task to {tasks}, or --data to "
            f"{remedy}."
        )
    if config.task == "language" and config.model == "fourier":
        raise ValueError(
            "`model` fourier mixes each token with later ones, which task language has to predict; set "
            "--model to another, or --task to masked."
        )
    if config.task == "language" and config.boundary in ("circular", "zero"):
        raise ValueError(
            f"`boundary` {config.boundary} lets a token see later ones, which task language has to predict; "
            "leave --boundary out, or set --task to masked."
        )
    if config.boundary == "causal" and config.model == "lambda-resnet":
        raise ValueError(
            "`boundary` causal is for text; set --boundary to zero or circular for lambda-resnet."
        )
    if config.boundary == "causal" and config.model == "lambda" and config.normalization == "batch":
        raise ValueError(
            "`normalization` batch would let a token see later ones, and `boundary` is causal; leave "
            "--normalization out, or set it to layer."
        )


def _check_model(config: Config) -> None:
    if config.model == "lambda-resnet" and config.data in TEXT:
        raise ValueError(
            "`model` lambda-resnet reads images; set --data to digits or fashion-mnist, or --model to lambda."
        )


def _check_products(config: Config) -> None:
    if config.products == "electronic":
        return
    if config.spectral:
        raise ValueError(
            "`spectral` attention multiplies spectra, which no multiplier takes; leave --spectral or "
            "--products out."
        )
    if config.multiplier == "convolutions" and config.device == "none":
        raise ValueError(
            "`multiplier` convolutions needs a `device`; set --device to a preset, or --multiplier to a "
            "preset that multiplies matrices, such as stanford."
        )


def _check_device(config: Config) -> None:
    multiplies = config.products == "device" and config.multiplier == "convolutions"
    if config.device != "none" and not has_convolutions(config) and not multiplies:
        raise ValueError(
            f"`model` {config.model} has no convolutions; leave --device out, set --model to conv1d or conv2d"
            + (", or give --feedforward-maps." if config.model == "linear" else ".")
        )
    numbers = parse_numbers("overrides", config.overrides, "--set photons=1000")
    of_device = [name for name in numbers if not name.startswith(OF_MULTIPLIER)]
    has_multiplier = config.products == "device" and not multiplies
    for name, has_effect in (
        ("overrides", not of_device),
        ("unit", config.unit is None or has_multiplier),
    ):
        if config.device == "none" and not has_effect:
            raise ValueError(
                f"`{name}` has no effect with `device` none; leave {flag(name)} out, or set --device to a "
                "preset."
            )
    if len(of_device) < len(numbers) and not has_multiplier:
        raise ValueError(
            f"`overrides` has numbers of a multiplier, {OF_MULTIPLIER}…, but the run has no preset that "
            "multiplies; leave them out, or set --multiplier to one, with --products device."
        )


def _check_layer_scale(config: Config) -> None:
    if config.layer_scale == "measured" and config.device == "none" and config.products == "electronic":
        raise ValueError(
            "`layer_scale` measured has no effect with `device` none; set --layer-scale to a number, or "
            "--device to a preset."
        )


def _check_units(config: Config) -> None:
    """Refuse units of a device that has none, and numbers of units that do not fit."""
    if config.units is None:
        return
    if config.unit is not None:
        raise ValueError(
            f"`unit` {config.unit} is one unit and `units` {config.units} are many; leave --unit or --units "
            "out."
        )
    if config.device in ("none", "ideal") and config.products == "electronic":
        raise ValueError(
            f"`units` {config.units} of `device` {config.device} are all alike; leave --units out, or set "
            "--device to a preset with tolerances, such as engine11."
        )
    if config.units_per_step > config.units:
        raise ValueError(
            f"`units_per_step` must be at most the {config.units} of `units`, got {config.units_per_step}; "
            "raise --units."
        )
    if config.objective != "mean" and config.units_per_step < 2:
        raise ValueError(
            f"`objective` {config.objective} compares units, and `units_per_step` is "
            f"{config.units_per_step}; set --units-per-step to 4, for example."
        )
    parts = config.accumulate * (config.units_per_step if config.objective == "mean" else 1)
    if config.batch_size % parts:
        raise ValueError(
            f"`batch_size` must be a multiple of the {parts} parts of `units_per_step` and `accumulate`, got "
            f"{config.batch_size}; use {nearest_multiple(config.batch_size, parts)}, for example."
        )


def _check_shape(config: Config) -> None:
    axes = SHAPE_AXES.get(config.model, (1,))
    if len(config.shape) not in axes:
        raise ValueError(
            f"`shape` must have {' or '.join(map(str, axes))} number(s) for model {config.model}, got "
            f"{config.shape}."
        )


def _check_accumulate(config: Config) -> None:
    if config.batch_size % config.accumulate:
        raise ValueError(
            f"`batch_size` must be a multiple of the {config.accumulate} parts of `accumulate`, got "
            f"{config.batch_size}; use {nearest_multiple(config.batch_size, config.accumulate)}, for example."
        )


def _check_precision(config: Config) -> None:
    if config.precision == "mixed" and config.feedforward_maps is not None and config.data in TEXT:
        raise ValueError(
            "`precision` mixed has no effect with text and `feedforward_maps`; leave --precision or "
            "--feedforward-maps out."
        )
    if config.precision == "mixed" and config.products == "device" and config.data in TEXT:
        raise ValueError(
            "`precision` mixed has no effect with text and `products` device, which the converters of the "
            "device round; leave --precision or --products out."
        )


def _check_buckets(config: Config) -> None:
    """Refuse buckets where the length of a row is part of the result, or where there is only one."""
    if config.buckets and config.model == "fourier":
        raise ValueError(
            "`buckets` would change the result of model fourier, whose transform includes the padding; leave "
            "--buckets out, or choose another --model."
        )
    if not config.buckets or len(bucket_lengths(config)) > 1:
        return
    if config.model == "lambda" and config.boundary == "circular":
        raise ValueError(
            f"`buckets` needs rows shorter than the {config.max_tokens} of `max_tokens`, and a circular "
            "lambda "
            f"layer needs at least its `scope` of {config.scope or config.max_tokens}; lower --scope, or set "
            "--boundary to zero."
        )
    raise ValueError(
        f"`buckets` begins at {SHORTEST_BUCKET} tokens, and `max_tokens` is {config.max_tokens}; leave "
        "--buckets "
        "out, or raise --max-tokens."
    )
