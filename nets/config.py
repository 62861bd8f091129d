"""What a training run is, as one frozen value. No JAX here: the command line reads this to print its help."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro


@dataclass(frozen=True)
class Config:
    """Train a transformer whose query, key and value projections a simulated optical device computes.

    Options shown as None take the default of the data set. A run is written to a folder of its own: config.json,
    metrics.jsonl (training as it goes, validation each epoch, the test last), curves.png and checkpoints/.
    """

    data: Literal["digits", "imdb"] = "digits"
    """digits: 8×8 images of digits that come with scikit-learn. imdb: film reviews, positive or negative."""
    data_path: Path | None = None
    """Of imdb: aclImdb_v1.tar.gz, or the folder it unpacks to. Without it, Hugging Face (extra "hub") is asked."""
    model: Literal["linear", "conv1d", "conv2d"] = "conv2d"
    """Projections: matrices (wide attention), or circular convolutions in one or two dimensions."""
    device: str | None = None
    """Preset that computes the convolutions, or "none" for the exact FFT; engine11 for conv2d unless given."""
    gradient: Literal["simulator", "ideal"] = "simulator"
    """Differentiate through the simulated device, or as if it were exact."""
    shape: tuple[int, ...] | None = None
    """Embedding as a plane: 11 11 for conv2d, 128 for the others, unless given."""
    kernel: tuple[int, ...] | None = None
    """Taps of the kernels in each direction; the whole plane unless given."""
    depth: int = 1
    """Blocks."""
    heads: int = 8
    """Attention heads."""
    length: int | None = None
    """Most tokens of a review; longer ones keep their beginning and their end."""
    vocabulary: int = 20_000
    """Tokens of the byte-pair encoding that is trained on the training reviews."""
    epochs: int | None = None
    """Passes over the training set."""
    batch_size: int | None = None
    """Examples in a step."""
    learning_rate: float | None = None
    """Of Adam, after a linear warm-up, before a cosine decay to zero."""
    dropout: float | None = None
    """Share of activations dropped in training."""
    seed: int = 0
    """Of everything random in the run."""
    out: Path | None = None
    """Folder of the run; runs/DATA-MODEL-DEVICE unless given."""
    progress: Annotated[bool, tyro.conf.arg(help="Show progress bars.")] = True


# What suits each data set where the user does not say: small enough for two cores.
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"length": 16, "epochs": 15, "batch_size": 32, "learning_rate": 5e-3, "dropout": 0.1},
    "imdb": {"length": 128, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "dropout": 0.2},
}


def resolve(config: Config) -> Config:
    """The same run with every None that has a default filled in.

    Raises:
        ValueError: a field outside what a run can have, by name.
    """
    for name, kind in get_type_hints(Config).items():
        value, choices = getattr(config, name), get_args(kind)
        if get_origin(kind) is Literal and value not in choices:
            raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}.")
    shape = config.shape or {"conv2d": (11, 11)}.get(config.model, (128,))
    device = config.device or {"conv2d": "engine11"}.get(config.model, "none")
    out = config.out or _unused(Path("runs") / f"{config.data}-{config.model}-{device}")
    defaults = {name: value for name, value in DEFAULTS[config.data].items() if getattr(config, name) is None}
    config = replace(config, shape=tuple(shape), device=device, out=Path(out), **defaults)
    for name, least in {"depth": 1, "heads": 1, "length": 1, "vocabulary": 1, "epochs": 1, "batch_size": 1, "seed": 0}.items():
        value = getattr(config, name)
        if not isinstance(value, int) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}, got {value!r}.")
    if config.model == "linear" and (device != "none" or config.kernel):
        raise ValueError("`model` linear has no convolutions; leave `device` and `kernel` out, or choose conv1d or conv2d.")
    if config.data_path is not None and config.data == "digits":
        raise ValueError(
            f"`data_path` {config.data_path} would not be read: digits come with scikit-learn; leave it out, or set `data` to imdb."
        )
    if not 0 < config.learning_rate < float("inf"):
        raise ValueError(f"`learning_rate` must be finite and above zero, got {config.learning_rate}.")
    dimensions = 2 if config.model == "conv2d" else 1
    if len(config.shape) != dimensions:
        raise ValueError(f"`shape` must have {dimensions} number(s) for model {config.model}, got {config.shape}.")
    if config.out.is_dir() and any(config.out.iterdir()):
        raise ValueError(f"`out` {config.out} is not empty; a run is never written over: name another folder.")
    existing = next(folder for folder in (config.out, *config.out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"`out` {config.out} cannot be written: {existing} is not a folder that may be written to.")
    return config


def as_json(config: Config) -> dict[str, Any]:
    """The fields as JSON values."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _unused(folder: Path) -> Path:
    """The folder, numbered if an earlier run lies there."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
