"""Options of the commands. No JAX here: the command line reads this to print its help."""

from dataclasses import dataclass
from pathlib import Path


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
    """How far the device's transform and convolution are from the exact ones, and what photons buy."""


@dataclass(frozen=True)
class Speed(Options):
    """What a transform and a convolution on the device cost, as ratios measured side by side."""


@dataclass(frozen=True)
class Networks(Options):
    """What a training step on the device costs beside the exact ones, and memory against the length of a sequence."""
