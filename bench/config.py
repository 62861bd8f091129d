"""Options of the commands. This module imports no JAX, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from nets.config import DEFAULT_CACHE, NETWORKS, SEED, SEEDS, SIDE, UNITS, show_paragraphs

# Simple methods whose test accuracies stand beside those of the networks: key of a run's last line, and name.
BASELINES = {
    "bag_of_words_accuracy": "bag of words",
    "nbsvm_accuracy": "NBSVM",
    "logistic_regression_accuracy": "logistic regression",
    "nearest_neighbours_accuracy": "3 nearest neighbours",
    "most_frequent_accuracy": "most frequent class",
}
EQUAL_WITHIN = 1.0  # points of accuracy within which two networks count as equal
# The ledger packs planes of the first side, with kernels of the same size, into the frames of a correlator of
# the second.
PLANE_SIDE, CORRELATOR_SIDE = 11, 1024


@show_paragraphs
@dataclass(frozen=True)
class Options:
    """Options that every command has."""

    device: str = "engine11"
    """Preset to measure."""
    quick: bool = False
    """Fewer sizes and repetitions: less than half a minute on two idle cores."""
    seed: Annotated[int, SEED] = 0
    """Seed of the random inputs and of the device's noise."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Fidelity(Options):
    """Errors of the device's transform and convolution, and the part that each nonideality has in them."""


@show_paragraphs
@dataclass(frozen=True)
class Speed(Options):
    """Time of propagation, convolution and training steps, as ratios of two things measured in turn."""

    peers: bool = False
    """Measure the same 4f chain in torchoptics and svetlanna, after checking that the fields agree."""


@show_paragraphs
@dataclass(frozen=True)
class Roofline(Options):
    """Share of the machine's speed that primitives and training steps reach, and planes per second."""


@show_paragraphs
@dataclass(frozen=True)
class Panels:
    """Panels of up to a megapixel: errors of wave optics and compiled lenses, time, memory, packing."""

    pixels: Annotated[int, SIDE] = 1024
    """Pixels a side of the largest panel; timing goes to twice as many."""
    quick: bool = False
    """Fewer sizes and repetitions, and panels of at most 64 pixels a side: about a minute."""
    seed: Annotated[int, SEED] = 0
    """Seed of the random inputs and of the noise."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Products:
    """Products of matrices through light: the one-shot geometry, noise, photons, time, exposures, joules."""

    quick: bool = False
    """Smaller matrices, fewer devices and repetitions: about half a minute on two idle cores."""
    seed: Annotated[int, SEED] = 0
    """Seed of the random matrices and of the noise."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Memory(Options):
    """Memory of training steps and convolutions: as XLA plans it, and as a process holds it."""


@show_paragraphs
@dataclass(frozen=True)
class Ledger(Options):
    """Cost of the hardware beside electronics: exposures, seconds, joules and bits, with every assumption."""

    hardware: str = ""
    """Hardware whose costs to assume: integrated, liquid-crystal, liquid-crystal-fast or mirrors; by default
    the hardware of the preset."""
    assume: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="set", aliases=["--assume"])
    ] = ()
    """Set a cost, in SI units, such as static_power=10; may be repeated. Names: exposure_time, engines,
    dac_energy, modulator_energy, adc_energy, receiver_energy, memory_energy, laser_power, oscillator_power,
    wall_plug, static_power."""


@show_paragraphs
@dataclass(frozen=True)
class Photons:
    """Accuracy of a dense network on a vector-matrix multiplier, against the photons of a multiplication."""

    data: Literal["digits", "fashion-mnist"] = "digits"
    """Images to classify, enlarged to 28×28 pixels."""
    data_path: Path | None = None
    """Path of the data, as for python -m nets.train."""
    seeds: Annotated[int, NETWORKS] = 3
    """Networks of each light level."""
    quick: bool = False
    """Two light levels and a few epochs: less than half a minute."""
    seed: Annotated[int, SEED] = 0
    """First seed."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Design(Options):
    """Numbers of a device chosen by gradient: accuracy of a trained network against joules an image."""

    free: tuple[str, ...] = (
        "photons",
        "oscillator_power",
        "dac_bits",
        "adc_bits",
        "fill",
        "pupil",
        "focal",
    )
    """Numbers that the search may change, of photons, oscillator_power, dac_bits, adc_bits, fill, pupil,
    focal, pitch."""
    range: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A narrower range of a free number, in SI units, such as photons=100,1e4; may be repeated."""
    network: Path | None = None
    """Folder of a finished run on images; by default one on digits is trained through the device."""
    units: Annotated[int, UNITS] = 32
    """Number of physical units of the design that is chosen."""


@show_paragraphs
@dataclass(frozen=True)
class Populations:
    """Accuracy over physical units at 3 photoelectrons and 2-bit converters, and of a device that drifts."""

    units: Annotated[int, UNITS] = 100
    """Units that every network is tested on, and none is trained on."""
    seeds: Annotated[int, NETWORKS] = 2
    """Networks of each training."""
    quick: bool = False
    """One epoch on a few images, and four units."""
    seed: Annotated[int, SEED] = 0
    """First seed."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot, and of the networks, in populations/."""


@show_paragraphs
@dataclass(frozen=True)
class Accuracy:
    """Table of recorded training runs: accuracies with intervals, baselines, and tests between networks."""

    results: Path = Path("bench/results")
    """Folder of run folders."""
    reference: str = ""
    """Variant to compare the others with; by default the linear network of a data set, else the exact one."""
    seed: Annotated[int, SEED] = 0
    """Seed of the bootstrap."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Devices:
    """Which bench for which network: runs through every device of a plan beside their exact twins."""

    plan: str = "devices-cpu"
    """Plan in bench/configs with a run through each device and its exact twin."""
    results: Path = Path("bench/results")
    """Folder in which a folder of the plan's name holds its runs."""
    quick: bool = False
    """Fewer planes and repetitions."""
    seed: Annotated[int, SEED] = 0
    """Seed of the random planes and of the noise."""
    out: Path = Path("runs/bench")
    """Folder of the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Language(Options):
    """Language models of a plan: perplexities beside counting, what a device changes, and text of each."""

    plan: str = "reviews-cpu"
    """Plan in bench/configs with language models through devices and their exact twins."""
    results: Path = Path("bench/results")
    """Folder in which a folder of the plan's name holds its runs."""
    reference: str = "linear"
    """Variant that others without an exact twin are compared with."""
    exact: Path | None = None
    """Folder of a run trained without a device, with its checkpoints, for the studies; by default they are
    left out."""
    through: Path | None = None
    """Folder of a run trained through the device; text is written by this one."""


@show_paragraphs
@dataclass(frozen=True)
class Pattern:
    """Files for a bench: a learnt kernel, an array or a test pattern as BMP or HDF5 of the panel's size."""

    device: str = "slm-4f"
    """Preset whose electronics make a drive of numbers, and of a kernel the filter of a correlator."""
    run: Path | None = None
    """Folder of a finished run, of whose kernels patterns are made."""
    layer: str = ""
    """Part of the name of the layer in --run; by default the first with kernels."""
    array: Path | None = None
    """Path of a .npy file with numbers (..., rows, columns) for the device."""
    test: Literal["grating", "checkerboard", "vortex", "lens", "random"] = "grating"
    """Phases of the modulator itself, without --run and --array."""
    panel: tuple[int, int] | None = None
    """Rows and columns of the panel; by default as many as the pattern needs."""
    group: Annotated[int, UNITS] = 1
    """Panel pixels a side of a pixel of the pattern."""
    table: Path | None = None
    """Path of the panel's table as text, grey level and phase in rad; by default the panel is straight."""
    full_turn: float | None = None
    """Grey level at which the panel reaches a phase of 2π, without a table; by default 256."""
    falling: bool = False
    """The phase falls with the grey level, as slmsuite takes panels to do."""
    format: Literal["bmp", "h5"] = "bmp"
    """Bitmaps of 8 bits, or phases as slmsuite's SLM.load_phase reads them."""
    most: Annotated[int, UNITS] = 8
    """Largest number of exposures that are written."""
    seed: Annotated[int, SEED] = 0
    """Seed of the random test pattern."""
    out: Path = Path("runs/pattern")
    """Folder of the files, the JSON and the plot."""


@show_paragraphs
@dataclass(frozen=True)
class Experiments:
    """Train every variant of a plan over its seeds; recorded runs are skipped, interrupted ones continued."""

    plan: str = "imdb-cpu"
    """Plan in bench/configs, or a TOML file."""
    data_path: Path | None = None
    """Path of the data, as for python -m nets.train."""
    variants: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--arms"])] = ()
    """Variants of the plan; all by default."""
    quick: bool = False
    """Take 50 steps of each variant and print how long all would take; nothing is tested or recorded."""
    seeds: Annotated[tuple[int, ...], SEEDS] = ()
    """Seeds, the outer loop; by default those of the plan, or 0 1 2."""
    out: Path = Path("runs/experiments")
    """Folder of the runs and their checkpoints."""
    results: Path = Path("bench/results")
    """Folder to which options, curves and predictions of finished runs are copied."""
    cache: Path | None = DEFAULT_CACHE
    """Folder of compiled programs and lenses, which make the second start faster."""


@show_paragraphs
@dataclass(frozen=True)
class Tuning:
    """Choose an option of every variant of a plan by validation; the test set is not read."""

    plan: str = "imdb-cpu"
    """Plan in bench/configs, or a TOML file; [tune] holds one list of values and options of short runs."""
    data_path: Path | None = None
    """Path of the data, as for python -m nets.train."""
    variants: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--arms"])] = ()
    """Variants of the plan; all by default."""
    seed: Annotated[int, SEED] = 0
    """Seed of the runs."""
    out: Path = Path("runs/tuning")
    """Folder of the runs and their checkpoints."""
    results: Path = Path("bench/results")
    """Folder in which a folder of the plan's name holds the table and the plot."""
    cache: Path | None = DEFAULT_CACHE
    """Folder of compiled programs and lenses, which make the second start faster."""


@show_paragraphs
@dataclass(frozen=True)
class Studies(Options):
    """Trained networks on a device: noise, converters, aberrations, units, gradient rules and kernels."""

    exact: Path = Path("runs/experiments/imdb-cpu/conv2d-11x11-seed0")
    """Folder of a run trained without a device."""
    through: Path = Path("runs/experiments/imdb-cpu/conv2d-11x11-engine11-seed0")
    """Folder of a run trained through the device."""
    units: Annotated[int, UNITS] = 32
    """Number of physical units of the device."""
    recorded: tuple[Path, ...] = (Path("bench/results/imdb-cpu"), Path("bench/results/imdb-studies"))
    """Folders of recorded runs, for their curves."""


@show_paragraphs
@dataclass(frozen=True)
class Report:
    """All recorded results as one HTML page that works without a network."""

    results: Path = Path("bench/results")
    """Folder of results and run folders."""
    redraw: bool = False
    """First draw every COMMAND.png again from its COMMAND.json."""
    out: Path = Path("runs/bench")
    """Folder of the page."""


@show_paragraphs
@dataclass(frozen=True)
class Api:
    """The API reference of optics and nets, made from the docstrings, as HTML (extra "docs")."""

    source: bool = True
    """Show the source under each name."""
    out: Path = Path("runs/api")
    """Folder of the pages."""
