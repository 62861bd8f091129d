"""The device against the exact transform and convolution, which are computed in double precision."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import scipy.fft
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Fidelity
from bench.output import Rows
from bench.simulator.budget import budget, without_effects
from bench.simulator.practice import measure_practice
from bench.simulator.rayleigh_sommerfeld import map_entries
from bench.simulator.sweeps import describe_lens, sweep_numbers
from optics import AbstractDevice, metrics
from optics.encode import Predistorted


class Operation(NamedTuple):
    """A computation on a device, (device, key) -> result, and its exact result."""

    name: str
    call: Callable
    exact: np.ndarray


def main(options: Fidelity) -> Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = output.load_device(options.device)
    output.check_folder(options.out)
    rows = measure(options, device)
    print(tabulate(rows))
    output.write(
        options.out,
        "fidelity",
        rows,
        options,
        plots.fidelity(rows, options.device),
    )
    return rows


def measure(options: Fidelity, device: AbstractDevice) -> Rows:
    """Errors of a transform and a convolution by condition; sweeps and error budget of the convolution."""
    if options.quick:
        inputs, repeats = 16, 4
    else:
        # A device of many pixels has as many numbers in fewer planes.
        inputs, repeats = (256, 32) if math.prod(device.shape) < 200 else (128, 16)
    x_key, w_key, noise_key = jax.random.split(jax.random.key(options.seed), 3)
    x = jax.random.normal(x_key, (inputs, *device.shape))
    w = jax.random.uniform(w_key, (inputs, *device.shape), minval=-1)
    shots = jax.random.split(noise_key, repeats)
    convolution = Operation(
        "convolution", lambda device, key: optics.convolve(x, w, device, key), convolve_exactly(x, w)
    )
    operations = [convolution]
    if device.supports(AbstractDevice.transform):
        exact = scipy.fft.fft2(as_double(x), norm="ortho")
        operations.insert(
            0, Operation("transform", lambda device, key: optics.transform(x, device, key), exact)
        )
    rows = [row for operation in operations for row in measure_conditions(operation, device, shots)]
    few = shots[: max(1, repeats // 4)]
    # A quarter of the planes is enough for errors that are compared with one another.
    part = slice(0, max(8, inputs // 4))
    lens = describe_lens(options.device)
    sampling = [] if lens is None else [measure_sampling(lens)]
    sweeps = sweep_numbers(options.device, device, convolve_exactly, x[part], w[part], few[:4], options.quick)
    costs = budget(convolution.call, device, convolution.exact, few[:2])
    if isinstance(device, optics.FourierProcessor) and isinstance(device.encoder, Predistorted):
        costs += measure_practice(
            options.device,
            device,
            lambda d, key: optics.convolve(x[part], w[part], d, key),
            convolution.exact[part],
            few[:2],
        )
    common = {"device": options.device, "operation": "convolution"}
    return [
        *({"device": options.device, **row} for row in rows),
        *({"device": options.device, **row} for row in sampling),
        *(common | {"condition": "one shot"} | row for row in sweeps),
        *(common | row for row in costs),
    ]


def measure_conditions(operation: Operation, device: AbstractDevice, shots: jax.Array) -> Rows:
    """Errors of the optics alone, without noise, and of single draws, the latter in two parts."""
    call, exact = eqx.filter_jit(operation.call), operation.exact
    bare = without_effects(device)
    # The gains of the whole device do not suit its optics alone.
    bare = optics.calibrate(bare) if isinstance(bare, optics.FourierProcessor) else bare
    draws = [
        np.asarray(call(device, key)) for key in tqdm(shots, desc=operation.name, unit=" shots", leave=False)
    ]
    results = {
        "optics alone": np.asarray(call(bare, None)),
        "with converters": np.asarray(call(device, None)),
        "one shot": np.stack(draws),
    }
    rows: Rows = [
        {"operation": operation.name, "condition": condition, **error_figures(result, exact)}
        for condition, result in results.items()
    ]
    # The mean over the draws still holds 1/repeats of their variance.
    random = np.sqrt(np.mean(np.var(draws, axis=0, ddof=1))) / rms(exact)
    squared = metrics.relative_error(np.mean(draws, axis=0), exact) ** 2 - random**2 / len(draws)
    rows[-1] |= {"systematic": float(np.sqrt(max(squared, 0.0))), "random": float(random)}
    return rows


def measure_sampling(lens: optics.FourierLens) -> dict[str, Any]:
    """Relative RMS error of a lens against the Rayleigh–Sommerfeld integral, for a few pairs of pixels.

    No factor is taken out.
    """
    (rows, cols), parts = lens.shape, lens.subpixels
    # On the axis, at a corner, and between.
    places = [(rows // 2, cols // 2), (0, 0), (rows // 3, cols - 1)]
    emitters = [(parts * row if rows > 1 else 0, parts * col) for row, col in places]
    light = np.zeros((len(places), *optics.transfer.light_shape(lens.shape, parts)), np.float32)
    for plane, emitter in zip(light, emitters, strict=True):
        plane[emitter] = 1.0
    field = np.asarray(eqx.filter_jit(lens)(light))
    result = np.stack([field[:, row, col] for row, col in places])
    error = metrics.relative_error(result, map_entries(lens, emitters, places))
    return {
        "operation": "lens",
        "condition": "against the Rayleigh–Sommerfeld integral",
        "sweep": "sampling",
        "unit": "samples a pixel",
        "value": float(lens.oversampling),
        "relative_rms_error": float(error),
    }


def error_figures(result: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Relative RMS error, effective bits, bias and gain error of a result, or of several draws of it.

    The bias is the mean of the errors over the RMS of the exact result; the gain error is g − 1 for the
    factor g that brings the exact result closest to the mean of the draws.
    """
    exact_draws = np.broadcast_to(exact, result.shape)
    relative = float(metrics.relative_error(result, exact_draws))
    double = np.result_type(result, np.float64)
    mean = result if result.shape == exact.shape else np.mean(result, axis=0, dtype=double)
    return {
        "relative_rms_error": relative,
        "effective_bits": metrics.effective_bits(relative),
        "bias": float(np.abs(np.mean(result - exact)) / rms(exact)),
        "gain_error": float(metrics.best_factor(exact, mean).real - 1),
    }


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def convolve_exactly(x: Any, w: Any) -> np.ndarray:
    """The circular convolution of real arrays in double precision."""
    return scipy.fft.ifft2(scipy.fft.fft2(as_double(x)) * scipy.fft.fft2(as_double(w))).real


def as_double(values: jax.Array) -> np.ndarray:
    """The same numbers in double precision."""
    return np.asarray(values, np.float64)


def tabulate(rows: Rows) -> str:
    """Errors by condition, the error budget, and what laboratories do about a panel."""
    conditions = [row for row in rows if "sweep" not in row]
    columns = {"operation": "", "condition": "", "relative_rms_error": ".3e", "effective_bits": ".2f"}
    columns |= {"bias": ".1e", "gain_error": ".1e", "systematic": ".2e", "random": ".2e"}
    of_effects = {"condition": "", "relative_rms_error": ".3e", "without": ".3e", "explained": ".3e"}
    of_lens = {"operation": "", "condition": "", "value": ".0f", "unit": "", "relative_rms_error": ".1e"}
    tables = [(conditions, columns), (output.select(rows, sweep="budget"), of_effects)]
    if practice := output.select(rows, sweep="practice"):
        tables.append((practice, {"condition": "", "relative_rms_error": ".3e", "exposures": ",.0f"}))
    if sampling := output.select(rows, sweep="sampling"):
        tables.append((sampling, of_lens))
    return "\n".join(output.table(*table) for table in tables)
