"""What light of several modes costs: K of them against one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from tqdm.auto import tqdm

import optics
from bench.output import Rows
from bench.simulator.timing import time_ratio
from optics import AbstractDevice

MEASUREMENTS: dict[str, Callable] = {
    "coherent receivers": optics.Coherent,
    "phase shifting": lambda: optics.PhaseShifting(4),
    "intensity": lambda: optics.Intensity(lambda amplitude: amplitude),
}


def measure_modes(quick: bool, key: jax.Array) -> Rows:
    """Transforms in light of K modes against light of one, forward and with gradient, by measurement.

    The target is a ratio of at most 1.1 K. Coherent receivers see the mean field, for which one map serves.
    """
    pixels, planes, repeats = (5, 64, 3) if quick else (11, 1024, 15)
    a = jax.random.normal(key, (planes, pixels, pixels))
    call = jax.jit(lambda device, a: optics.transform(a, device))
    gradient = jax.jit(
        jax.grad(lambda device, a: jnp.sum(jnp.abs(optics.transform(a, device)) ** 2), argnums=1)
    )
    cases = [(name, count) for name in MEASUREMENTS for count in ((2,) if quick else (2, 4, 8))]
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


def make_engine(pixels: int, measurement: str, modes: int | None) -> AbstractDevice:
    """A Fourier engine in light of as many modes; None is the program without any."""
    transfer = optics.dft(pixels)
    if modes is not None:
        copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (modes, *jnp.shape(leaf))), transfer)
        transfer = optics.Modal(copies, jnp.ones(modes))
    return optics.FourierProcessor(transfer, MEASUREMENTS[measurement]())
