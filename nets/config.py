"""What a training run is, as one frozen value. No JAX here: the command line reads this to print its help."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro


@dataclass(frozen=True)
class Config:
    """Train a network whose convolutions a simulated optical device computes.

    Options shown as None take the default of the data set. A run is written to a folder of its own: config.json,
    metrics.jsonl (training as it goes, validation each epoch, the test last), curves.png, predictions.npz and checkpoints/.
    Tested is the network of the epoch with the best validation accuracy. A run that was ended is continued by the same
    command with its folder as --out, and ends as if nothing had happened.
    """

    data: Literal["digits", "imdb", "fashion-mnist"] = "digits"
    """digits: 8×8 images of digits that come with scikit-learn. imdb: film reviews, positive or negative. fashion-mnist: 28×28 images of clothes."""
    data_path: Path | None = None
    """Of imdb: aclImdb_v1.tar.gz, or the folder it unpacks to; without it, Hugging Face (extra "hub") is asked. Of fashion-mnist: the folder of its four files; without it, that of the Debian package."""
    model: Literal["linear", "conv1d", "conv2d", "lambda", "fourier", "mean", "lambda-resnet"] = "conv2d"
    """What mixes the tokens: attention with projections by matrices (linear) or by circular convolutions in one or two dimensions, lambda layers, a Fourier transform, nothing before the mean of all (mean), or, for images, a residual network with lambda layers."""
    device: str | None = None
    """Preset that computes the convolutions, or "none" for the exact FFT; engine11 for conv2d unless given."""
    numbers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE …")] = ()
    """Numbers of the preset that are to be otherwise, such as photons=1000."""
    unit: int | None = None
    """Draw one physical unit of the device, by number; without, the device has no deviations."""
    gradient: Literal["simulator", "ideal", "optical"] = "simulator"
    """Differentiate through the simulated device, as if it were exact, or by the device itself."""
    fixed: bool = False
    """Leave the layers that mix tokens as they were drawn, and train the rest."""
    attention: Literal["wide", "canonical", "narrow"] = "wide"
    """Kind of the linear attention."""
    spectral: bool = False
    """Convolutional attention with one optical transform forward and one back a token, instead of every convolution."""
    order: Literal["post", "pre"] = "post"
    """Layer norm after each residual sum, or before what is added."""
    layer_scale: float | None = None
    """Of pre-norm blocks: value that the factors of what is added start from, one learned for each feature; no factors unless given."""
    final_norm: bool = True
    """Layer norm of what pre-norm blocks end with. --no-final-norm: tokens of long vectors count for more in the mean over them."""
    maps: int | None = None
    """Planes between the two rounds of a convolutional feed-forward; the linear one unless given."""
    shape: tuple[int, ...] | None = None
    """Embedding as a plane: 11 11 for conv2d, 128 for the others, unless given; of lambda-resnet the channels after each halving of the image, 32 64."""
    kernel: tuple[int, ...] | None = None
    """Taps of the kernels in each direction; the whole plane unless given."""
    scope: int | None = None
    """Relative positions of lambda layers; every token of a row that is closed to a circle unless given, 5 a direction for lambda-resnet."""
    key_depth: int = 16
    """Of lambda layers."""
    boundary: Literal["circular", "zero"] | None = None
    """What lambda layers see beyond the ends; circular for lambda and zero for lambda-resnet unless given."""
    normalization: Literal["batch", "layer"] = "batch"
    """Of queries and values in lambda layers."""
    depth: int = 1
    """Blocks."""
    heads: int = 8
    """Heads of attention and of lambda layers."""
    patch: int | None = None
    """Pixels a side of the patches that are the tokens of an image."""
    length: int | None = None
    """Most tokens of a review; longer ones keep their beginning and their end."""
    vocabulary: int = 20_000
    """Tokens of the byte-pair encoding that is trained on the training reviews."""
    pairs: int | None = None
    """Vectors for pairs of neighbouring tokens, which share them by chance, beside those of single tokens; none unless given."""
    pair_width: int = 16
    """Numbers of a vector for pairs, before a matrix takes it to the width of the embedding."""
    weighted_pairs: bool = False
    """Multiply the vector of a pair by how unevenly the classes share it, as naive Bayes does."""
    held_out: Literal["random", "neighbours"] = "random"
    """What of the training set is for validation: rows drawn at random, or neighbours in each class; those of IMDb are of the same few films, which training then has hardly any review of."""
    examples: int | None = None
    """Train on so many rows of the training set, and validate on a tenth as many; all unless given."""
    start: Path | None = None
    """Folder of a run on the same data whose trained network this one starts from."""
    epochs: int | None = None
    """Passes over the training set."""
    buckets: bool = False
    """Reviews of about one length share a batch, padded to the next of a few lengths (16, 24, 32, 48, …) instead of `length`: less to compute, the same network."""
    batch_size: int | None = None
    """Examples in a step."""
    accumulate: int = 1
    """Parts that a batch is computed in, one after another, which takes the memory of one; statistics of batches are those of a part."""
    precision: Literal["float32", "mixed"] = "float32"
    """mixed: products with the matrices of the feed-forward and of image patches in bfloat16; nothing else, and never the optics."""
    learning_rate: float | None = None
    """Of Adam, after a linear warm-up, before a cosine decay to zero."""
    dropout: float | None = None
    """Share of activations dropped in training."""
    token_dropout: float = 0.0
    """Share of the tokens of a review that are left out in training."""
    seed: int = 0
    """Of everything random in the run."""
    patience: int | None = None
    """Stop after so many epochs in a row without a better validation accuracy; never unless given."""
    test: bool = True
    """Test the network at the end. --no-test leaves the test set alone, as where options are still being chosen."""
    out: Path | None = None
    """Folder of the run; runs/DATA-MODEL-DEVICE unless given."""
    resume: Annotated[bool, tyro.conf.arg(help="Continue the run that lies in the folder, if one does.")] = (
        True
    )
    checkpoint_every: float = 60.0
    """Seconds between checkpoints, beside those after the best epoch, at the end and when the run is told to stop."""
    devices: int | Literal["all"] | None = None
    """Devices of this machine that share each batch; one unless given, all where several processes run."""
    coordinator: str | None = None
    """HOST:PORT of process 0, where several processes make up one run without SLURM."""
    processes: int | None = None
    """Number of those processes."""
    process: int | None = None
    """Number of this one, from 0; process 0 writes."""
    cache: Path | None = None
    """Folder of compiled programs, which make a second start faster; None compiles again, or does as JAX is set."""
    profile: bool = False
    """Trace a few steps into profile/ of the run."""
    tensorboard: bool = False
    """Write metrics for TensorBoard too, into tensorboard/ of the run (extra "log")."""
    progress: Annotated[bool, tyro.conf.arg(help="Show progress bars.")] = True


# What suits each data set where the user does not say: small enough for two cores.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"patch": 2, "epochs": 15, "batch_size": 32, "learning_rate": 5e-3, "dropout": 0.1},
    "imdb": {"length": 128, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "dropout": 0.2},
    "fashion-mnist": {"patch": 7, "epochs": 8, "batch_size": 64, "learning_rate": 3e-3, "dropout": 0.1},
}
# Options that say something to some models alone; for any other they are refused, not ignored.
CONVOLUTIONAL, LAMBDA, BLOCKS = (
    ("conv1d", "conv2d"),
    ("lambda", "lambda-resnet"),
    ("linear", "conv1d", "conv2d", "lambda", "fourier"),
)
MIXING = ("linear", *CONVOLUTIONAL, "lambda")  # with weights that mix tokens
OPTIONS_OF = {
    "attention": ("linear",),
    "spectral": CONVOLUTIONAL,
    "kernel": CONVOLUTIONAL,
    "scope": LAMBDA,
    "key_depth": LAMBDA,
    "boundary": LAMBDA,
    "normalization": ("lambda",),
    "order": BLOCKS,
    "layer_scale": BLOCKS,
    "final_norm": BLOCKS,
    "maps": BLOCKS,
    "patch": (*BLOCKS, "mean"),
    "dropout": (*BLOCKS, "mean"),
    "precision": BLOCKS,
    "fixed": MIXING,
}


# What may be otherwise when a run is continued: where things lie and how the run is watched.
CACHE = Path("~/.cache/lensformer").expanduser()  # of command lines
PROCESSES = ("devices", "coordinator", "processes", "process")
FREE = (
    "data_path",
    "out",
    "resume",
    "checkpoint_every",
    "progress",
    "cache",
    "profile",
    "tensorboard",
    *PROCESSES,
)
# Of these, folders of one machine, which are no part of what a run was.
PLACES = ("data_path", "out", "cache")


def resolve(config: Config) -> Config:
    """The same run with every None that has a default filled in.

    Raises:
        ValueError: a field outside what a run can have, by name.
    """
    for name, kind in get_type_hints(Config).items():
        value, choices = getattr(config, name), get_args(kind)
        if get_origin(kind) is Literal and value not in choices:
            raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")
    for name, models in OPTIONS_OF.items():
        if getattr(config, name) != getattr(Config, name) and config.model not in models:
            raise ValueError(
                f"`{name}` says nothing to model {config.model}; leave it out, or set `model` to {' or '.join(models)}."
            )
    of_images, of_text = config.data != "imdb", config.data == "imdb"
    if config.model == "lambda-resnet" and of_text:
        raise ValueError(
            "`model` lambda-resnet reads images; set `data` to digits or fashion-mnist, or `model` to lambda."
        )
    of_tokens = ("length", "buckets", "pairs", "pair_width", "weighted_pairs", "held_out", "token_dropout")
    for name, meant in {"patch": of_images, **dict.fromkeys(of_tokens, of_text)}.items():
        if getattr(config, name) != getattr(Config, name) and not meant:
            raise ValueError(f"`{name}` says nothing of {config.data}; leave it out.")
    for name in ("pair_width", "weighted_pairs"):
        if getattr(config, name) != getattr(Config, name) and config.pairs is None:
            raise ValueError(
                f"`{name}` says nothing without `pairs`; give a number of them, 1000003 for example."
            )
    shape = config.shape or {"conv2d": (11, 11), "lambda-resnet": (32, 64)}.get(config.model, (128,))
    device = config.device or {"conv2d": "engine11"}.get(config.model, "none")
    out = config.out or unused(Path("runs") / f"{config.data}-{config.model}-{device}")
    defaults = {name: value for name, value in DEFAULTS[config.data].items() if getattr(config, name) is None}
    if config.model == "lambda-resnet":
        defaults |= {"patch": None, "dropout": 0.0, "scope": config.scope or 5}
    if config.model in LAMBDA:
        defaults["boundary"] = (
            config.boundary or {"lambda": "circular", "lambda-resnet": "zero"}[config.model]
        )
    config = replace(config, shape=tuple(shape), device=device, out=Path(out), **defaults)
    whole = {
        "depth": 1,
        "heads": 1,
        "length": 1,
        "patch": 1,
        "vocabulary": 1,
        "epochs": 1,
        "batch_size": 1,
        "seed": 0,
        "pair_width": 1,
    }
    for name, least in (
        whole
        | {
            "accumulate": 1,
            "maps": 1,
            "scope": 1,
            "key_depth": 1,
            "patience": 1,
            "processes": 1,
            "pairs": 1,
            "unit": 0,
            "examples": 1,
        }
    ).items():
        value = getattr(config, name)
        if value is None and name in (
            "length",
            "patch",
            "maps",
            "scope",
            "patience",
            "processes",
            "pairs",
            "unit",
            "examples",
        ):
            continue
        if not isinstance(value, int) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")
    if config.model in ("linear", "mean") and device != "none" and config.maps is None:
        raise ValueError(
            f"`model` {config.model} has no convolutions; leave `device` out, choose conv1d or conv2d, or give `maps`."
        )
    for name in ("numbers", "unit"):
        if getattr(config, name) not in ((), None) and device == "none":
            raise ValueError(
                f"`{name}` is of a device, and `device` is none; leave it out, or set `device` to a preset."
            )
    named_numbers("numbers", config.numbers, "photons=1000")
    if config.layer_scale is not None and (
        config.order == "post" or not 0 < config.layer_scale < float("inf")
    ):
        raise ValueError(
            f"`layer_scale` must be above 0 and finite, with `order` pre; got {config.layer_scale} and `order` {config.order}."
        )
    if not config.final_norm and config.order == "post":
        raise ValueError(
            "`final_norm` is of `order` pre: post-norm blocks end with their own; leave --no-final-norm out."
        )
    if not 0 <= config.token_dropout < 1:
        raise ValueError(f"`token_dropout` must be at least 0 and below 1, got {config.token_dropout!r}.")
    if config.start is not None and not (config.start / "config.json").is_file():
        raise ValueError(f"`start` {config.start} must be the folder of a run, but it has no config.json.")
    if config.batch_size % config.accumulate:
        raise ValueError(
            f"`batch_size` must be a multiple of the {config.accumulate} parts of `accumulate`, got {config.batch_size}; use "
            f"{near(config.batch_size, config.accumulate)}, for example."
        )
    if config.precision == "mixed" and config.maps is not None and of_text:
        raise ValueError(
            "`precision` mixed finds no matrix in a network that reads text with `maps`; leave one of them out."
        )
    if config.buckets:
        shortens(config)
    if config.data_path is not None and config.data == "digits":
        raise ValueError(
            f"`data_path` {config.data_path} would not be read: digits come with scikit-learn; leave it out, or set `data` to imdb."
        )
    if not 0 < config.learning_rate < float("inf"):
        raise ValueError(f"`learning_rate` must be finite and above zero, got {config.learning_rate}.")
    if config.devices not in (None, "all") and not (isinstance(config.devices, int) and config.devices >= 1):
        raise ValueError(f"`devices` must be a whole number of at least 1, or all, got {config.devices!r}.")
    if not 0 <= config.checkpoint_every < float("inf"):
        raise ValueError(
            f"`checkpoint_every` must be finite and at least 0 seconds, got {config.checkpoint_every}."
        )
    dimensions = {"conv2d": (2,), "fourier": (1, 2), "lambda-resnet": (1, 2, 3, 4)}.get(config.model, (1,))
    if len(config.shape) not in dimensions:
        raise ValueError(
            f"`shape` must have {' or '.join(map(str, dimensions))} number(s) for model {config.model}, got {config.shape}."
        )
    to_write(
        config.out,
        config.resume,
        {name: value for name, value in as_json(config).items() if name not in FREE},
        Config,
    )
    return config


def as_json(config: Config) -> dict[str, Any]:
    """The fields as JSON values."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def named_numbers(option: str, texts: Sequence[str], example: str) -> dict[str, int | float]:
    """Numbers by name, of texts NAME=VALUE.

    Arguments:
        option: what the user calls them.
        texts: what the user gave.
        example: of such a text.

    Raises:
        ValueError: another form, or a name twice.
    """
    found: dict[str, int | float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(
                f"`{option}` must be of the form name=number, such as {example}; got {text!r}."
            ) from None
        if name in found:
            raise ValueError(f"`{option}` must set a number once, got {name} twice.")
        found[name] = int(number) if number.is_integer() else number
    return found


def near(number: int, factor: int) -> int:
    """A multiple of the factor, not far below the number."""
    return max(1, number // factor) * factor


SHORTEST = 8  # of these lengths, in tokens


def bucket_lengths(config: Any) -> tuple[int, ...] | None:
    """Lengths, in tokens, that rows of text are padded to: 8, 12, 16, 24, 32, …, then `length`; None for `length` alone.

    A circular lambda layer takes no row shorter than its scope, so its lengths begin there.
    """
    if not config.buckets:
        return None
    circular = config.model == "lambda" and config.boundary == "circular"
    least = (config.scope or config.length) if circular else 1
    steps = (n for power in range(config.length.bit_length()) for n in (2 * 2**power, 3 * 2**power))
    return (*(n for n in steps if max(SHORTEST, least) <= n < config.length), config.length)


def shortens(config: Any) -> None:
    """Refuse buckets where the length of a row is part of what it gives, or where there is but one."""
    if config.model == "fourier":
        raise ValueError(
            "`buckets` would change what model fourier gives, for padding counts in the length of its transform; leave it out, or choose "
            "another `model`."
        )
    if len(bucket_lengths(config)) > 1:
        return
    if config.model == "lambda" and config.boundary == "circular":
        raise ValueError(
            f"`buckets` needs rows shorter than `length` {config.length}, and a circular lambda layer takes none shorter than its `scope` "
            f"of {config.scope or config.length}; lower `scope`, or use `boundary` zero."
        )
    raise ValueError(
        f"`buckets` begins at {SHORTEST} tokens, and `length` is {config.length}; leave it out, or raise `length`."
    )


def to_write(out: Path, resume: bool, now: dict[str, Any], defaults: Any) -> None:
    """Refuse a folder that a run can neither be started in nor continued.

    Arguments:
        out: the folder.
        resume: a run that lies there is continued.
        now: the options that make up the run.
        defaults: has the values, by name, of options that an earlier run was recorded without.

    Raises:
        ValueError: a folder that is not empty and holds no run, another one, or one that is not to be continued; a folder that
            cannot be written to.
    """
    if (out / "config.json").exists():
        _continuable(out, resume, now, defaults)
    elif out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ValueError(f"`out` {out} is not empty; a run is never written over: name another folder.")
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"`out` {out} cannot be written: {existing} is not a folder that may be written to.")


def unused(folder: Path) -> Path:
    """The folder, numbered if an earlier run lies there."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _continuable(out: Path, resume: bool, now: dict[str, Any], defaults: Any) -> None:
    if not resume:
        raise ValueError(
            f"`out` {out} holds a run, and it is not to be continued; name another folder, or leave --no-resume out."
        )
    path = out / "config.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`out`: {path} cannot be read ({error}); repair it, or name another folder."
        ) from None
    now = json.loads(json.dumps(now))
    changed = [name for name in now if before.get(name, getattr(defaults, name)) != now[name]]
    if changed:
        told = ", ".join(f"`{name}` {before.get(name)!r}, now {now[name]!r}" for name in changed)
        raise ValueError(
            f"`out` {out} holds a run of other options: {told}; give the same ones, or name another folder."
        )
