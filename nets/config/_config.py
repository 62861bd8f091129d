"""What a training run is, as one frozen value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from nets.config._options import (
    COUNT_OR_ALL,
    FRACTION,
    POSITIVE,
    POSITIVE_OR_MEASURED,
    SECONDS,
    SEED,
    SHARE,
    SIZE,
    SIZES,
    UNITS,
    Only,
    check_values,
    hint_constraints,
    shorten,
    show_paragraphs,
    whole,
)

CONVOLUTIONAL = ("conv1d", "conv2d")
LAMBDA = ("lambda", "lambda-resnet")
TRANSFORMERS = ("linear", *CONVOLUTIONAL, "lambda", "long-conv", "fourier")  # made of blocks
WITH_MIXER_WEIGHTS = ("linear", *CONVOLUTIONAL, "lambda", "long-conv")
WITH_PRODUCTS = ("linear", *CONVOLUTIONAL)  # of queries and keys, of weights and values
# Names of the parameters of a multiplier begin so among those of a device.
OF_MULTIPLIER = "multiplier."
# The data sets, and the options that suit each: small enough for two cores. Images are cut into patches,
# texts into tokens.
DATA_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {
        "patch": 4,
        "epochs": 40,
        "batch_size": 32,
        "learning_rate": 5e-3,
        "dropout": 0.1,
        "distortion": 0.12,
        "best_by": "loss",
    },
    "imdb": {"max_tokens": 128, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "dropout": 0.2},
    "imdb-bytes": {"max_tokens": 1024, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "dropout": 0.1},
    "listops": {"max_tokens": 128, "epochs": 1, "batch_size": 64, "learning_rate": 1e-3, "dropout": 0.1},
    "pixels": {"max_tokens": 64, "epochs": 30, "batch_size": 32, "learning_rate": 3e-3, "dropout": 0.1},
    "fashion-mnist": {"patch": 7, "epochs": 8, "batch_size": 64, "learning_rate": 3e-3, "dropout": 0.1},
    "reviews": {"max_tokens": 128, "epochs": 1, "batch_size": 8, "learning_rate": 5e-3, "dropout": 0.0},
    "text": {"max_tokens": 128, "epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "dropout": 0.0},
}
DATA = tuple(DATA_DEFAULTS)
IMAGES = tuple(name for name, options in DATA_DEFAULTS.items() if "patch" in options)
TEXT = tuple(
    name for name, options in DATA_DEFAULTS.items() if "max_tokens" in options
)  # of tokens, at least
REVIEWS = ("imdb", "imdb-bytes")  # with a label
CORPORA = ("reviews", "text")  # text without labels
LANGUAGE = ("language", "masked")  # tasks of predicting tokens


@hint_constraints
@show_paragraphs
@dataclass(frozen=True)
class Config:
    """Train a network whose convolutions a simulated optical device computes.

    An option shown as None takes the default of the data set or of the model. The run is written to a folder
    of its own: config.json, metrics.jsonl (training, validation after each epoch, the test last), curves.png,
    predictions.npz and checkpoints/. The network of the best epoch is tested.
    To continue a run that was stopped or killed, give the same command with its folder as --out; the result
    is the same to the last bit.
    """

    data: Literal[DATA] = "digits"
    """digits: 8×8 images of digits that come with scikit-learn. imdb: film reviews, positive or negative;
    imdb-bytes: the same, byte by byte. fashion-mnist: 28×28 images of clothes. listops: nested operations
    on digits. pixels: images of digits, pixel by pixel. reviews: the text of all film reviews, for language
    models; text: that of any files."""
    data_path: Annotated[Path | None, Only("data", (*REVIEWS, "fashion-mnist", "pixels", *CORPORA))] = None
    """imdb, imdb-bytes, reviews: aclImdb_v1.tar.gz or the folder it unpacks to; by default Hugging Face is
    asked (extra "hub"). text: a text file, or a folder of such; by default the language reference that Python
    carries for help(). fashion-mnist: the folder of its four files; by default that of the Debian package.
    pixels: the same folder, for 784 pixels of clothes instead of 64 of digits."""
    task: Literal["classification", *LANGUAGE] | None = None
    """What is learned: the class of a row; the next token after each (language); or tokens that were replaced
    by a mask (masked). language for reviews and text by default, and classification for the others."""
    model: Literal[*TRANSFORMERS, "mean", "lambda-resnet"] = "conv2d"
    """How tokens are mixed: attention with linear projections (linear) or circular convolutions in one or two
    dimensions (conv1d, conv2d), lambda layers, long convolutions over the text (long-conv), a Fourier
    transform, or not at all (mean: their average is classified, or, in a language model, added by each
    block). lambda-resnet: a residual network of lambda layers for images."""
    device: str | None = None
    """Preset of the device that computes the convolutions, or "none" for the exact FFT; engine11 for conv2d
    and none for the others by default."""
    products: Annotated[Literal["electronic", "device"], Only("model", WITH_PRODUCTS)] = "electronic"
    """Where blocks multiply matrices (projections, queries with keys, weights with values, the linear
    feed-forward): in electronics, or on a device, the --multiplier. The embedding and the classes stay
    electronic."""
    multiplier: Annotated[str | None, Only("products", ("device",))] = None
    """Preset of the device that multiplies matrices, or "convolutions": on --device, a matrix as a kernel;
    crossbar by default."""
    overrides: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="NAME=VALUE …")] = ()
    """Values for parameters of the device preset, such as photons=1000, and of the multiplier preset, such as
    multiplier.photons=1e4."""
    unit: Annotated[int | None, SEED] = None
    """Simulate one physical copy of the device, drawn within its tolerances with this seed; by default the
    nominal device."""
    units: Annotated[int | None, UNITS] = None
    """Train on this number of physical units of the device, drawn with --seed: each step takes another one,
    and validation and test take 8 others that were not trained on. By default one device."""
    units_per_step: Annotated[int, whole(1, 1000), Only("units", example="64")] = 1
    """Units of a step. With the objective mean they share the rows of the batch, at the cost of one unit;
    with the others each computes the whole batch, at as many times the cost."""
    objective: Annotated[Literal["mean", "quantile", "chance"], Only("units", example="64")] = "mean"
    """What a step minimises of the losses of its units: their mean; the mean of the worst, beyond --level
    (quantile); or the mean and a penalty while the loss exceeds --loss-bound with a probability of more than
    1 - --level (chance)."""
    level: Annotated[float | None, FRACTION, Only("objective", ("quantile", "chance"))] = None
    """Share of the units that are not among the worst; 0.75 by default."""
    loss_bound: Annotated[float | None, POSITIVE, Only("objective", ("chance",))] = None
    """Loss that few units may exceed, in nats; 0.1 by default."""
    gradient: Literal["simulator", "ideal", "optical"] = "simulator"
    """How what a device computes is differentiated: through the simulated device, as if the device were
    exact, or with the device computing the backward pass too."""
    freeze_mixers: Annotated[bool, Only("model", WITH_MIXER_WEIGHTS)] = False
    """Keep the initial weights of the layers that mix tokens, and train the rest."""
    attention: Annotated[Literal["wide", "canonical", "narrow"], Only("model", ("linear",))] = "wide"
    """Heads of linear attention: each as wide as the embedding (wide), or sharing its width (canonical), or
    each seeing a slice of it only (narrow)."""
    spectral: Annotated[bool, Only("model", CONVOLUTIONAL)] = False
    """Compute attention in the Fourier domain: two optical transforms a token instead of one convolution a
    kernel."""
    norm: Annotated[Literal["post", "pre"] | None, Only("model", TRANSFORMERS)] = None
    """Where a block normalises: after each residual sum (post), or before each layer (pre); pre for tasks
    language and masked by default, and post for classification."""
    layer_scale: Annotated[
        float | Literal["measured"] | None,
        POSITIVE_OR_MEASURED,
        Only("model", TRANSFORMERS),
        Only("norm", ("pre",)),
    ] = None
    """Initial LayerScale, a learned factor for each feature of a residual branch; none by default. measured:
    for each branch the gain that brings it closest to the exact one on the device, near 0 where noise hides
    it."""
    final_norm: Annotated[
        bool, Only("task", ("classification",)), Only("model", TRANSFORMERS), Only("norm", ("pre",))
    ] = True
    """Normalise the output of the last block."""
    feedforward_maps: Annotated[int | None, SIZE, Only("model", TRANSFORMERS)] = None
    """Use a convolutional feed-forward with this number of feature maps; by default it is linear."""
    shape: Annotated[tuple[int, ...] | None, SIZES] = None
    """Shape of the embedding. By default it has the size of the device, or 64 numbers for one of a shorter
    line; without a device 11 11 for conv2d and 128 for the others. Another shape asks the preset for that
    size; if --set gives it a larger one, such as pixels=64, tokens share its planes. lambda-resnet: channels
    after each halving of the image, 32 64 by default."""
    kernel: Annotated[tuple[int, ...] | None, SIZES, Only("model", CONVOLUTIONAL)] = None
    """Size of the convolution kernels; by default that of the embedding."""
    scope: Annotated[int | None, SIZE, Only("model", (*LAMBDA, "long-conv"))] = None
    """Relative positions that a lambda layer or a long convolution reaches; by default all tokens of a row,
    or 5 in each direction for lambda-resnet."""
    key_depth: Annotated[int, SIZE, Only("model", LAMBDA)] = 16
    """Features of a key in lambda layers."""
    boundary: Annotated[
        Literal["circular", "zero", "causal"] | None, Only("model", (*LAMBDA, "long-conv"))
    ] = None
    """How lambda layers and long convolutions treat the ends of a row: it closes to a circle (circular), is
    followed by nothing (zero), or no token sees a later one (causal). circular for lambda and zero for the
    others by default, and causal for task language."""
    normalization: Annotated[Literal["batch", "layer"] | None, Only("model", ("lambda",))] = None
    """Normalisation of queries and values in lambda layers; layer for causal ones by default, and batch for
    others."""
    depth: Annotated[int, whole(1, 1000)] = 1
    """Number of blocks."""
    heads: Annotated[int, SIZE] = 8
    """Number of heads of attention and lambda layers."""
    patch: Annotated[int | None, SIZE, Only("data", IMAGES), Only("model", (*TRANSFORMERS, "mean"))] = None
    """Side of the square patches that an image is cut into, in pixels."""
    distortion: Annotated[float | None, FRACTION, Only("data", IMAGES)] = None
    """Turn, stretch, slant and move each training image at random, its edge by up to this share of half its
    side; 0.12 for digits by default, and not for others."""
    max_tokens: Annotated[int | None, SIZE, Only("data", TEXT)] = None
    """Longest row, in tokens; the middle of a longer review is left out."""
    vocabulary: Annotated[int | None, whole(1, 2**20)] = None
    """Size of the byte-pair encoding that is trained on the training text: 2048 for reviews and text by
    default, and 20000 for imdb. With --init-from it is the encoding of that run."""
    bigrams: Annotated[int | None, whole(1), Only("data", TEXT)] = None
    """Size of a hashed embedding of neighbouring token pairs, added to that of the tokens; off by default."""
    bigram_width: Annotated[int, SIZE, Only("data", TEXT), Only("bigrams", example="1000003")] = 16
    """Features of a bigram before it is projected to the width of the embedding."""
    weighted_bigrams: Annotated[
        bool, Only("task", ("classification",)), Only("data", TEXT), Only("bigrams", example="1000003")
    ] = False
    """Weight each bigram by its naive Bayes log ratio between the classes."""
    validation_split: Annotated[Literal["random", "neighbours"], Only("data", REVIEWS)] = "random"
    """How validation rows are chosen: at random, or contiguous in each class (neighbours), which keeps the
    reviews of a film together."""
    max_examples: Annotated[int | None, whole(1)] = None
    """Train on the first rows only, and validate on a tenth as many; all by default."""
    init_from: Path | None = None
    """Folder of a run with the same network whose trained weights this one starts from: of the same task, or
    of a language model for the embedding and the blocks of another task."""
    layer_decay: Annotated[float, SHARE, Only("init_from", example="runs/reviews")] = 1.0
    """Factor of the learning rate from each block to the one before it, and to the embedding at last: the
    last block and what follows it learn at the whole rate."""
    epochs: Annotated[int | None, whole(1, 10**6)] = None
    """Passes over the training set."""
    buckets: Annotated[bool, Only("task", ("classification",)), Only("data", TEXT)] = False
    """Batch reviews of similar length, padded to 16, 24, 32, 48, … tokens instead of --max-tokens: the same
    network, less to compute."""
    batch_size: Annotated[int | None, whole(1)] = None
    """Examples per step."""
    accumulate: Annotated[int, whole(1)] = 1
    """Compute each batch in this number of parts, to save memory; batch statistics are those of a part."""
    precision: Annotated[Literal["float32", "mixed"], Only("model", TRANSFORMERS)] = "float32"
    """mixed: bfloat16 for the matrix products of the feed-forward and the image patches; the optics stay in
    float32."""
    learning_rate: Annotated[float | None, POSITIVE] = None
    """Peak learning rate of Adam, after a linear warm-up and before a cosine decay to zero."""
    dropout: Annotated[float | None, FRACTION, Only("model", (*TRANSFORMERS, "mean"))] = None
    """Share of activations dropped in training."""
    token_dropout: Annotated[float, FRACTION, Only("task", ("classification",)), Only("data", TEXT)] = 0.0
    """Share of the tokens of a review dropped in training."""
    seed: Annotated[int, SEED] = 0
    """Seed of everything random in the run."""
    best_by: Literal["accuracy", "loss"] | None = None
    """Which epoch is the best one, which is tested: that of the highest accuracy or of the lowest loss in
    validation; loss for digits, which have few images to validate on, and for tasks language and masked, and
    accuracy for others by default."""
    patience: Annotated[int | None, whole(1)] = None
    """Stop after this number of epochs without a better one; never by default."""
    test: bool = True
    """Test the network at the end. --no-test leaves the test set alone while options are being chosen."""
    out: Path | None = None
    """Folder of the run; runs/DATA-MODEL-DEVICE by default."""
    resume: Annotated[bool, tyro.conf.arg(help="Continue a run that is already in the folder.")] = True
    checkpoint_every: Annotated[float, SECONDS] = 60.0
    """Seconds between checkpoints; others are saved after the best epoch, at the end and on interruption."""
    devices: Annotated[int | Literal["all"] | None, COUNT_OR_ALL] = None
    """JAX devices of this machine that share each batch; by default 1, or all with several processes."""
    coordinator: str | None = None
    """HOST:PORT of process 0, for several processes without SLURM."""
    processes: Annotated[int | None, whole(1)] = None
    """Number of processes of the run."""
    process: Annotated[int | None, whole(0, 2**16)] = None
    """Number of this process, from 0; process 0 writes the folder."""
    cache: Path | None = None
    """Folder of compiled programs and lenses, which make the next start faster; None uses the setting of JAX,
    and keeps no lens."""
    profile: bool = False
    """Write a profile of a few steps to profile/ in the folder of the run."""
    log_to: Literal["wandb", "mlflow", "trackio", "tensorboard"] | None = None
    """Also pass metrics on to Weights & Biases, MLflow, Trackio or TensorBoard (the extra of that name). The
    settings of that program choose where they go; for TensorBoard it is tensorboard/ in the folder of the
    run. A run that goes on stays one run there."""
    progress: Annotated[bool, tyro.conf.arg(help="Show progress bars.")] = True


OPTIONS = tuple(field.name for field in fields(Config))
DEFAULT_CACHE = Path("~/.cache/lensformer").expanduser()  # of the command lines
# Options that may change when a run is continued: they say where its files are and how it is watched or
# computed.
FREE_ON_RESUME = (
    "data_path",
    "out",
    "resume",
    "checkpoint_every",
    "progress",
    "cache",
    "profile",
    "log_to",
    "devices",
    "coordinator",
    "processes",
    "process",
)
# What runs did before the option was there, or before its default depended on others.
BEFORE_THE_OPTION = {"best_by": "accuracy", "distortion": 0.0, "task": "classification"}
BEFORE_THE_OPTION |= {"norm": "post", "vocabulary": 20_000, "normalization": "batch"}
# Folders of one machine, which do not belong to the record of a run.
LOCAL_PATHS = ("data_path", "out", "cache")
# Options that runs and plans were recorded with under another name.
OLD_NAMES = {
    "numbers": "overrides",
    "fixed": "freeze_mixers",
    "order": "norm",
    "maps": "feedforward_maps",
    "length": "max_tokens",
    "pairs": "bigrams",
    "pair_width": "bigram_width",
    "weighted_pairs": "weighted_bigrams",
    "held_out": "validation_split",
    "examples": "max_examples",
    "start": "init_from",
}


def device_name(config: Config) -> str:
    """What computes a run, in a word: the device, or the multiplier, or both."""
    if config.products == "electronic":
        return config.device
    return config.multiplier if config.device == "none" else f"{config.device}-{config.multiplier}"


def has_convolutions(config: Config) -> bool:
    """Whether the network of a run has anything that a device convolves or transforms."""
    return config.model not in ("linear", "mean") or config.feedforward_maps is not None


def has_planes(config: Config) -> bool:
    """Whether the network convolves or transforms planes of the size of its embedding; a lambda layer
    convolves over positions, in tiles of any size.
    """
    return config.feedforward_maps is not None or config.model in (*CONVOLUTIONAL, "fourier")


def as_json(config: Config) -> dict[str, Any]:
    """The options as JSON values."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def as_config(values: Mapping[str, Any]) -> Config:
    """The options that `as_json` wrote, also under their former names; other values are left out.

    Raises:
        ValueError: an option of another type or outside its range; the message names it.
    """
    values = {name: value for name, value in current_names(values).items() if name in OPTIONS}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    check_values(Config, values)
    for name in ("data_path", "init_from", "out", "cache"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    return Config(**values)


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, with options under the names that they have now."""
    values = {OLD_NAMES.get(name, name): value for name, value in values.items()}
    # A switch before there were other programs to log to.
    if values.pop("tensorboard", False) is True:
        values["log_to"] = "tensorboard"
    return values


def parse_numbers(option: str, texts: Sequence[str], example: str) -> dict[str, int | float]:
    """Numbers by name, from texts NAME=VALUE.

    Arguments:
        option: name of the argument, for messages.
        texts: the texts.
        example: such a text.

    Raises:
        ValueError: another form, or a name twice.
    """
    numbers: dict[str, int | float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(
                f"`{option}` must be of the form name=number, such as {example}; got {shorten(text)}."
            ) from None
        if name in numbers:
            raise ValueError(f"`{option}` must set a number once, got {name} twice.")
        # A compiled program takes whole numbers of 32 bits; larger ones stay as they were read.
        numbers[name] = int(number) if number.is_integer() and abs(number) < 2**31 else number
    return numbers


SHORTEST_BUCKET = 8  # tokens


def bucket_lengths(config: Config) -> tuple[int, ...] | None:
    """Lengths that rows of text are padded to: 8, 12, 16, 24, 32, … and `max_tokens`; None without buckets.

    A circular lambda layer needs rows of at least its scope, so its lengths begin there.
    """
    if not config.buckets:
        return None
    circular = config.model == "lambda" and config.boundary == "circular"
    shortest = max(SHORTEST_BUCKET, (config.scope or config.max_tokens) if circular else 1)
    steps = (n for power in range(config.max_tokens.bit_length()) for n in (2 * 2**power, 3 * 2**power))
    return (*(n for n in steps if shortest <= n < config.max_tokens), config.max_tokens)
