"""Options of the commands. No JAX here: the command line reads this to print its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from nets.config import DEFAULT_CACHE


@dataclass(frozen=True)
class Options:
    """Options that every command has."""

    device: str = "engine11"
    """Preset to measure."""
    quick: bool = False
    """Fewer repetitions: a look in under 30 seconds."""
    seed: int = 0
    """Of the random inputs and of the device's noise."""
    out: Path = Path("runs/bench")
    """Folder that the JSON and the plot go to."""


@dataclass(frozen=True)
class Fidelity(Options):
    """How far the device's transform and convolution are from the exact ones, and what each nonideality costs."""


@dataclass(frozen=True)
class Speed(Options):
    """What optics costs to simulate: propagation, convolution and training steps, as ratios measured side by side."""

    peers: bool = False
    """Also the same 4f chain in other libraries, after checking that the fields agree: torchoptics and svetlanna, where installed."""


@dataclass(frozen=True)
class Memory(Options):
    """What training steps and convolutions hold in memory, by XLA's account and by the process, against the length."""


@dataclass(frozen=True)
class Ledger(Options):
    """What the hardware would cost: exposures, seconds, joules and bits, beside electronics, with every assumption named."""

    hardware: str = ""
    """Kind of hardware whose costs to assume: integrated, liquid-crystal, liquid-crystal-fast or mirrors; by default that of the preset."""
    assume: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A cost to set otherwise, in SI units, such as static_power=10, as often as wanted: exposure_time, engines, dac_energy, modulator_energy, adc_energy, receiver_energy, memory_energy, laser_power, oscillator_power, wall_plug, static_power."""


@dataclass(frozen=True)
class Accuracy:
    """Recorded training runs as a table: accuracies with confidence intervals, and paired tests between networks."""

    results: Path = Path("bench/results")
    """Folder of run folders."""
    reference: str = ""
    """Run, without its seed, that the others are compared with; by default the linear network of a data set, else the exact one."""
    seed: int = 0
    """Of the bootstrap."""
    out: Path = Path("runs/bench")
    """Folder that the JSON and the plot go to."""


@dataclass(frozen=True)
class Experiments:
    """Train every arm of a plan over its seeds; what is recorded is skipped, what was interrupted goes on."""

    plan: str = "imdb-cpu"
    """Plan in bench/configs, or a TOML file."""
    data_path: Path | None = None
    """Of the data, as for python -m nets.train."""
    arms: tuple[str, ...] = ()
    """Arms of the plan; all unless given."""
    quick: bool = False
    """Only 50 steps of each arm, without the test, to see that it runs and how long it would take; nothing is recorded."""
    seeds: tuple[int, ...] = ()
    """Seeds, the outer loop; those of the plan unless given, or 0 1 2."""
    out: Path = Path("runs/experiments")
    """Folder of the runs with their checkpoints."""
    results: Path = Path("bench/results")
    """Folder that configuration, curves and predictions of finished runs are copied to."""
    cache: Path | None = DEFAULT_CACHE
    """Folder of compiled programs, which make a second start faster."""


@dataclass(frozen=True)
class Tuning:
    """Choose an option of every arm of a plan by validation, with the same number of runs for each arm and without the test set."""

    plan: str = "imdb-cpu"
    """Plan in bench/configs, or a TOML file, with a table [tune]: one list of values, and what makes the runs short."""
    data_path: Path | None = None
    """Of the data, as for python -m nets.train."""
    arms: tuple[str, ...] = ()
    """Arms of the plan; all unless given."""
    seed: int = 0
    """Of the runs."""
    out: Path = Path("runs/tuning")
    """Folder of the runs with their checkpoints."""
    results: Path = Path("bench/results")
    """Folder that the table and the plot go to, in a folder of the plan's name."""
    cache: Path | None = DEFAULT_CACHE
    """Folder of compiled programs, which make a second start faster."""


@dataclass(frozen=True)
class Studies(Options):
    """What trained networks say about a device: noise, converters, aberrations, units, gradient rules, kernels."""

    exact: Path = Path("runs/experiments/imdb-cpu/conv2d-11x11-seed0")
    """Run that was trained without a device."""
    through: Path = Path("runs/experiments/imdb-cpu/conv2d-11x11-engine11-seed0")
    """Run that was trained through the device."""
    units: int = 32
    """Physical units of the device."""
    recorded: tuple[Path, ...] = (Path("bench/results/imdb-cpu"), Path("bench/results/imdb-studies"))
    """Folders of recorded runs, whose curves are read."""


@dataclass(frozen=True)
class Report:
    """All recorded results as one HTML page that needs no network."""

    results: Path = Path("bench/results")
    """Folder of results and run folders."""
    out: Path = Path("runs/bench")
    """Folder that the page goes to."""


@dataclass(frozen=True)
class Api:
    """The API reference of optics and nets as HTML that needs no network, made from the docstrings (extra "docs")."""

    source: bool = True
    """Show the source under each name."""
    out: Path = Path("runs/api")
    """Folder that the pages go to."""
