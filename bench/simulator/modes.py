"""What light of several modes costs: K of them against one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from tqdm.auto import tqdm

import optics
from bench.output import Rows
from bench.simulator.timing import time_ratio
from optics import AbstractDevice

PHOTONS = 1e4
# A measurement, and the noise of its detectors.
RECEIVERS: dict[str, Callable] = {
    "coherent receivers": lambda: (optics.Coherent(), optics.effects.BalancedShot(PHOTONS)),
    "phase shifting": lambda: (optics.PhaseShifting(4), optics.effects.Shot(PHOTONS)),
    "intensity": lambda: (optics.Intensity(lambda amplitude: amplitude), optics.effects.Shot(PHOTONS)),
}


def measure_modes(quick: bool, key: jax.Array) -> Rows:
    """Transforms in light of K modes against light of one, forward and with gradient, by measurement.

    The target is a ratio of at most 1.1 K. Coherent receivers see the mean field, for which one map serves.
    Detectors have noise, as those of every bench. Without it one mode takes less than its share: its frames
    are never stored.
    """
    pixels, planes, repeats = (5, 64, 3) if quick else (11, 1024, 15)
    a = jax.random.normal(key, (planes, pixels, pixels))
    call = jax.jit(lambda device, a: optics.transform(a, device, key))
    gradient = jax.jit(
        jax.grad(lambda device, a: jnp.sum(jnp.abs(optics.transform(a, device, key)) ** 2), argnums=1)
    )
    cases = [(name, count) for name in RECEIVERS for count in ((2,) if quick else (2, 4, 8))]
    rows = []
    for name, count in tqdm(cases, desc="modes of light", unit=" cases", leave=False):
        several, one = (make_engine(pixels, name, modes) for modes in (count, None))
        rows += [
            {
                "operation": f"{operation}, {planes:,} planes of {pixels}×{pixels}, {name}",
                "what": f"{count} modes of light",
                "against": "one mode",
                **time_ratio(function, (several, a), function, (one, a), repeats),
            }
            for operation, function in (("transform", call), ("transform and gradient", gradient))
        ]
    return rows


def make_engine(pixels: int, receiver: str, modes: int | None) -> AbstractDevice:
    """A Fourier engine in light of as many modes; None is the program without any."""
    transfer = optics.dft(pixels)
    if modes is not None:
        copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (modes, *jnp.shape(leaf))), transfer)
        transfer = optics.Modal(copies, jnp.ones(modes))
    measurement, noise = RECEIVERS[receiver]()
    return optics.FourierProcessor(transfer, measurement, camera=(noise,))
