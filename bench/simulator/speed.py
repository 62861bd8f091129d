"""Time of the simulation as ratios: two things in turn in one process, medians."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Speed
from bench.output import Rows
from bench.simulator.four_f_chain import measure_chains
from bench.simulator.modes import measure_modes
from bench.simulator.peers import measure_peers
from bench.simulator.steps import measure_training_steps
from bench.simulator.timing import time_ratio
from optics import AbstractDevice
from optics.metrics import relative_error


def main(options: Speed) -> Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, `peers` without one installed, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    output.check_folder(options.out)
    rows = measure(options, device)
    print(tabulate(rows))
    output.write(options.out, "speed", rows, options, plots.speed(rows, options.device))
    return rows


def measure(options: Speed, device: AbstractDevice) -> Rows:
    """The 4f chain, other libraries, propagation, convolutions, modes of light, and training steps."""
    key = jax.random.key(options.seed)
    # Libraries that are missing are refused before anything is measured.
    peers = measure_peers(device, options.quick, options.seed) if options.peers else []
    rows = [
        *measure_chains(options.quick, options.seed),
        *peers,
        *measure_propagation(options, key),
        *measure_convolutions(options, device, key),
        *measure_modes(options.quick, key),
    ]
    if device.supports(AbstractDevice.transform) and min(device.shape) > 1:
        rows += measure_training_steps(options, device)
    return rows


def tabulate(rows: Rows) -> str:
    """One line a ratio."""
    columns = {"operation": "", "what": "", "against": "", "milliseconds": ".3g"}
    columns |= {"against_milliseconds": ".3g", "ratio": ".3g", "spread": ".2f"}
    columns |= {"relative_difference": ".1e", "field_error": ".1e", "gradient_error": ".1e"}
    return output.table(rows, columns)


def measure_convolutions(options: Speed, device: AbstractDevice, key: jax.Array) -> Rows:
    """Convolutions on the device against the exact FFT, forward and with gradient, by batch and size."""
    kernels, repeats = 24, 3 if options.quick else 15

    forward, exact_gradient = jax.jit(optics.convolve), compile_gradient(optics.convolve)
    gradients = {
        "noisy device": exact_gradient,
        "noisy device, ideal gradient": compile_gradient(optics.ideal_gradient(optics.convolve)),
    }
    cases = [(tokens, device) for tokens in ((64,) if options.quick else (64, 256, 1024))]
    if not options.quick:
        # The smallest batch also on devices of other sizes, where the preset can have them.
        cases += [(64, other) for other in (_resize(options.device, 5), _resize(options.device, 16)) if other]
    rows = []
    for tokens, engine in tqdm(cases, desc="convolutions", unit=" cases", leave=False):
        x = jax.random.normal(key, (tokens, 1, *engine.shape))
        w = jax.random.normal(jax.random.fold_in(key, 1), (kernels, *engine.shape))
        shape = f"{tokens:,} tokens × {kernels} kernels of {engine.shape[0]}×{engine.shape[1]}"
        noisy, exact = (x, w, engine, key), (x, w, None, None)
        rows.append(
            {
                "operation": f"convolution, {shape}",
                "what": "noisy device",
                "against": "exact FFT",
                **time_ratio(forward, noisy, forward, exact, repeats),
            }
        )
        rows += [
            {
                "operation": f"convolution and gradient, {shape}",
                "what": name,
                "against": "exact FFT",
                **time_ratio(gradient, noisy, exact_gradient, exact, repeats),
            }
            for name, gradient in gradients.items()
        ]
    return rows


def compile_gradient(convolve: Callable) -> Callable:
    """The gradient of Σ y² of a convolution y for both of its arguments, with those of `optics.convolve`."""
    return jax.jit(lambda x, w, d, k: jax.grad(lambda x, w: jnp.sum(convolve(x, w, d, k) ** 2), (0, 1))(x, w))


def _resize(preset: str, pixels: int) -> AbstractDevice | None:
    """The preset with another number of pixels a side; None where it cannot be built with them."""
    try:
        return optics.presets.load(preset, pixels=pixels)
    except ValueError:
        return None


def measure_propagation(options: Speed, key: jax.Array) -> Rows:
    """One transform by full propagation against the compiled one: of the device, and of an aberrated lens."""
    repeats = 3 if options.quick else 15
    lenses = []
    device, described = (output.load_device(options.device, level=level) for level in ("compiled", "wave"))
    if isinstance(described.transfer, optics.FourierLens):
        lenses.append((described.transfer, device.transfer))
    # Coma, spherical aberration and a round pupil do not separate into rows and columns.
    pixels = 16 if options.quick else 64
    lens = optics.FourierLens(
        pixels,
        pitch=127e-6,
        wavelength=1.55e-6,
        pupil_radius=1.2 * pixels * 127e-6,
        aberrations=[0, 0, 0, 0, 0, 0, 0.1, 0.05, 0, 0, 0.08],
        oversampling=4 if options.quick else 8,
    )
    lenses.append((lens, optics.compile_transfer(lens, tolerance=1e-4)))
    rows = []
    propagate = jax.jit(lambda transfer, light: transfer(light))
    for lens, compiled in tqdm(lenses, desc="propagating", unit=" lenses", leave=False):
        shape = optics.transfer.light_shape(lens.shape, lens.subpixels)
        light = jax.random.normal(key, shape) + 1j * jax.random.normal(jax.random.fold_in(key, 1), shape)
        # A plane of 4,096 samples a side takes seconds.
        count = repeats if lens.plane < 2000 else min(repeats, 5)
        difference = relative_error(propagate(compiled, light), propagate(lens, light))
        rows.append(
            {
                "operation": f"one transform, {shape[0]}×{shape[1]}",
                "what": "full wave propagation",
                "against": f"compiled, {type(compiled).__name__}",
                **time_ratio(propagate, (lens, light), propagate, (compiled, light), count),
                "relative_difference": float(difference),
            }
        )
    return rows
