"""Whole panels: how close the followed orders and the masks come, and what a transform costs."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import PLANE_SIDE, Panels
from bench.output import Rows
from bench.simulator.budget import budget
from bench.simulator.fidelity import convolve_exactly
from bench.simulator.rayleigh_sommerfeld import map_entries
from bench.simulator.timing import interleaved_times
from optics import effects, mapping, metrics, retrieve

SAMPLING, MASKS, SPEED, PACKED, RETRIEVAL = "sampling", "masks", "speed", "packed", "retrieval"
# The pixels of a fast panel of liquid crystal, 1,024 a side, in the infrared.
PITCH, WAVELENGTH, FILL = 17e-6, 1.064e-6, 0.97
# Waves of a well corrected lens: Noll 8 is coma, 11 spherical aberration; defocus in focal depths, p² / λ.
ABERRATIONS, DEFOCUS = [0, 0, 0, 0, 0, 0, 0, 0.03, 0, 0, 0.03], 0.25
# A round pupil, in radii over the panel's width, that passes the zero order of all pixels.
PUPIL_WIDTHS = 2.0
# Of the lenses of a correlator, which light passes twice.
PACKED_TOLERANCE = 1e-4
# Larger panels are timed with masks of one term that were not compiled, and without their wave optics.
LARGEST_WAVE = 1024
# Iterations of both searches, in parts that a progress bar counts.
SEARCH_STEPS, SEARCH_PARTS = 200, 20
# Photons of a full-scale field at the receiver, and bits of both converters: where full scale is a bound on
# the light of a whole panel, and where a meter sets it.
BOUND, METERED = (1e10, 16), (1e6, 12)


def main(options: Panels) -> Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: a folder that cannot be written to.
    """
    output.check_folder(options.out)
    rows = measure(options)
    print(tabulate(rows))
    output.write(options.out, "panels", rows, options, plots.panels(rows))
    return rows


def measure(options: Panels) -> Rows:
    """All parts, the slow ones on smaller panels."""
    side = 64 if options.quick else options.pixels
    sampled = [24] if options.quick else [n for n in (64, 128, 256) if n <= side]
    compiled = [32] if options.quick else [n for n in (64, 256, 512, 1024) if n <= side]
    timed = [11, 16, 32, 64] if options.quick else [n for n in (11, 16, 32, 64, 128, 256, 512, 1024, 2048)]
    rows: Rows = []
    for n in tqdm(sampled, desc="against the integral", unit=" panels", leave=False):
        rows += [{"operation": SAMPLING, "side": n, **row} for row in measure_sampling(n, options.seed)]
    for n in tqdm(compiled, desc="compiling", unit=" panels", leave=False):
        rows += [{"operation": MASKS, "side": n, **row} for row in measure_masks(n, options.seed)]
    for n in tqdm(timed, desc="timing", unit=" panels", leave=False):
        if n <= 2 * side:
            rows += [{"operation": SPEED, "side": n, **row} for row in measure_speed(n, options)]
    rows += [{"operation": PACKED, "side": side, **row} for row in measure_packed(side, options)]
    for n in (32, 64) if options.quick else (64, side):
        rows += [{"operation": RETRIEVAL, "side": n, **row} for row in measure_retrieval(n, options)]
    return rows


def tabulate(rows: Rows) -> str:
    """A table a part."""
    columns = {
        SAMPLING: {"side": "", "orders": "", "samples": "", "raw": ".1e", "after_gains": ".1e"},
        MASKS: {"side": "", "lens": "", "terms": "", "residual": ".1e", "error": ".1e", "seconds": ".0f"},
        SPEED: {"side": "", "what": "", "kind": "", "milliseconds": ".3g", "ratio": ".2f", "fields": ".1f"},
        PACKED: {"side": "", "planes": "", "condition": "", "error": ".1e", "predicted": ".1e"}
        | {"microseconds": ".3g"},
        RETRIEVAL: {"side": "", "what": "", "error": ".1e", "seconds": ".0f"},
    }
    return "\n".join(
        output.table(output.select(rows, operation=part), keys) for part, keys in columns.items()
    )


def make_lens(side: int, **numbers: Any) -> optics.FourierLens:
    """A lens behind a panel of `side` pixels a side."""
    numbers = {"fill": FILL, "detector_fill": FILL, "pupil_radius": PUPIL_WIDTHS * side * PITCH} | numbers
    return optics.FourierLens(side, PITCH, WAVELENGTH, **numbers)


def measure_sampling(side: int, seed: int) -> Rows:
    """Error of the followed orders against the Rayleigh–Sommerfeld integral, for some pairs of pixels."""
    rng = np.random.default_rng(seed)
    emitters, receivers = (
        [tuple(map(int, pair)) for pair in rng.integers(0, side, (4, 2))] for _ in range(2)
    )
    expected = map_entries(make_lens(side, orders=1), emitters, receivers)
    rows = []
    for orders in (1, 2, 3):
        lens = make_lens(side, orders=orders)
        call, result = eqx.filter_jit(lens), np.zeros(expected.shape, complex)
        for j, pixel in enumerate(emitters):
            field = np.asarray(call(jnp.zeros(lens.shape).at[pixel].set(1.0)))
            result[:, j] = [field[pixel] for pixel in receivers]
        rows.append(
            {
                "orders": orders,
                "samples": lens.plane,
                "raw": float(metrics.relative_error(result, expected)),
                "after_gains": float(metrics.relative_error(apply_gains(result, expected), expected)),
            }
        )
    return rows


def apply_gains(result: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The map with the gains of rows and columns that bring it closest to the expected one."""
    for _ in range(200):
        for axis in (0, 1):
            overlap = np.sum(result.conj() * expected, axis=axis, keepdims=True)
            result = result * (overlap / np.sum(np.abs(result) ** 2, axis=axis, keepdims=True))
    return result


def measure_masks(side: int, seed: int) -> Rows:
    """Terms and error of compiled lenses against their wave optics, and the time that compilation takes."""
    rows = []
    # The focal depth of matched pixels is p² / λ, however many they are.
    errors = {"aberrations": ABERRATIONS, "defocus": DEFOCUS * PITCH**2 / WAVELENGTH}
    for name, numbers in (("ideal", {}), ("coma, spherical, defocus", errors)):
        lens = make_lens(side, orders=1, **numbers)
        start = time.perf_counter()
        transfer = jax.block_until_ready(optics.compile_transfer(lens))
        seconds = time.perf_counter() - start
        light = random_field(side, seed)
        error = metrics.relative_error(np.asarray(transfer(light)), np.asarray(eqx.filter_jit(lens)(light)))
        rows.append(
            {
                "lens": name,
                "terms": transfer.masks_in.shape[0],
                "residual": float(transfer.residual),
                "error": float(error),
                "seconds": seconds,
            }
        )
    return rows


def random_field(side: int, seed: int) -> jax.Array:
    """Complex normal numbers on a panel."""
    return jax.random.normal(jax.random.key(seed), (side, side), jnp.complex64)


def measure_speed(side: int, options: Panels) -> Rows:
    """One transform against a bare FFT, forward and with the gradient to the light: time, and the fields that
    a program holds at once, its light and result among them.
    """
    repeats = 3 if options.quick else 11
    lens, light = make_lens(side), random_field(side, options.seed)
    # The time does not depend on what the masks hold, and larger lenses take minutes to compile.
    one = jnp.ones((1, side, side), jnp.complex64)
    transfer = optics.compile_transfer(lens) if side <= LARGEST_WAVE else optics.MaskedFFT(one, one)
    kinds: dict[str, tuple[Callable, int]] = {"compiled": (transfer, repeats)}
    if side <= LARGEST_WAVE:
        kinds["wave"] = (lens, min(repeats, 5))
    rows = []
    for what, wrap in (("forward", lambda f: f), ("gradient", gradient_of)):
        bare = jax.jit(wrap(jnp.fft.fft2))
        for kind, (part, count) in kinds.items():
            program = jax.jit(lambda part, light, wrap=wrap: wrap(part)(light))
            times, against = interleaved_times(program, (part, light), bare, (light,), count)
            compiled = program.lower(part, light).compile().memory_analysis()
            held = compiled.temp_size_in_bytes + compiled.output_size_in_bytes + light.nbytes
            rows.append(
                {
                    "what": what,
                    "kind": kind,
                    "milliseconds": statistics.median(times),
                    "ratio": statistics.median(times) / statistics.median(against),
                    "fields": held / light.nbytes,
                }
            )
            if kind == "compiled":
                rows.append({"what": what, "kind": "bare FFT", "milliseconds": statistics.median(against)})
    return rows


def gradient_of(transform: Callable) -> Callable:
    """The gradient of the power behind a transform, to its light."""
    return jax.grad(lambda light: jnp.sum(jnp.abs(transform(light)[..., ::2, :]) ** 2))


def make_correlator(
    transfer: optics.MaskedFFT, photons: float, bits: int, **options: bool
) -> optics.Correlator:
    """A correlator of two such panels, calibrated, with converters, photon noise and as much read noise."""
    gains = optics.calibrate(optics.FourierProcessor(transfer), compensation="complex")
    receivers = effects.BalancedShot(photons), effects.Read(math.sqrt(0.5 / photons))
    return optics.Correlator(
        transfer,
        slm=(effects.Quantize(bits, signed=True),),
        camera=(*receivers, effects.Quantize(bits, signed=True)),
        input_gain=gains.input_gain,
        output_gain=gains.output_gain,
        **options,
    )


def measure_packed(side: int, options: Panels) -> Rows:
    """Small convolutions in one exposure of a correlator of panels: their error with the lenses alone, and
    with converters and noise beside what the error budget predicts; the time of each, and on `engine11`.
    """
    kernel = (PLANE_SIDE, PLANE_SIDE)
    plan = mapping.plan_packed((1, *kernel), kernel, (side, side))
    planes = math.prod(plan.grid)
    x_key, w_key, noise_key = jax.random.split(jax.random.key(options.seed), 3)
    x, w = jax.random.normal(x_key, (planes, *kernel)), jax.random.normal(w_key, kernel)
    transfer = optics.compile_transfer(make_lens(side, orders=1), tolerance=PACKED_TOLERANCE)
    exact, shots = convolve_exactly(x, w), jax.random.split(noise_key, 2)

    def call(device, key):
        return mapping.convolve_packed(x, w, device, key)

    rows: Rows = []
    devices = {
        "full scale by a bound": make_correlator(transfer, *BOUND),
        "full scale by a meter": make_correlator(transfer, *METERED, metering=True),
    }
    for name, device in devices.items():
        parts = budget(call, device, exact, shots)
        if not rows:
            rows.append({"condition": "lenses alone", "error": parts[0]["relative_rms_error"]})
        total = parts[-1]
        rows.append(
            {"condition": name, "error": total["relative_rms_error"], "predicted": total["explained"]}
        )
    small, repeats = output.load_device("engine11", level="compiled"), 3 if options.quick else 11
    of_panel, of_engine = interleaved_times(
        eqx.filter_jit(call),
        (devices["full scale by a bound"], noise_key),
        eqx.filter_jit(optics.convolve),
        (x, w, small, noise_key),
        repeats,
    )
    rows[1]["microseconds"] = 1e3 / planes * statistics.median(of_panel)
    rows.append(
        {"condition": "engine11, one by one", "microseconds": 1e3 / planes * statistics.median(of_engine)}
    )
    return [{"planes": planes, **row} for row in rows]


def measure_retrieval(side: int, options: Panels) -> Rows:
    """Where a phase hologram and the phases of an object end, whatever the panel."""
    steps, parts = (40, 4) if options.quick else (SEARCH_STEPS, SEARCH_PARTS)
    key = jax.random.key(options.seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    beam = np.exp(-((x**2 + y**2) / 0.35**2))
    # A ring and a bar, in the middle half of the detector.
    target = 1.0 * ((np.abs(np.hypot(x, y) - 0.15) < 0.04) | ((np.abs(x) < 0.02) & (np.abs(y) < 0.2)))
    rows = []

    def run(what: str, search: Callable, error_of: Callable) -> None:
        start, found = time.perf_counter(), None
        for _ in tqdm(range(parts), desc=f"{what}, {side}×{side}", unit=" parts", leave=False):
            found = jax.block_until_ready(search(found))
        seconds = time.perf_counter() - start
        rows.append({"what": what, "error": float(error_of(found)), "seconds": seconds})

    def hologram(found):
        start = {"key": key} if found is None else {"start": jnp.angle(found.object)}
        return retrieve.gerchberg_saxton(beam, target, steps // parts, **start)

    run("phase hologram", hologram, lambda found: metrics.relative_error(*_fit_to(found.field, target)))
    thing = target * (1 + 0.5 * np.cos(20 * np.pi * y))
    amplitude = np.abs(np.asarray(retrieve.centred_dft(jnp.asarray(thing))))
    support = (np.abs(x) < 0.22) & (np.abs(y) < 0.22)

    def phases(found):
        start = {"key": key} if found is None else {"start": found.object}
        return retrieve.raar(amplitude, support, iterations=steps // parts, **start)

    run("object from its spectrum", phases, lambda found: found.residual)
    return rows


def _fit_to(field: jax.Array, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The amplitude within the target, at the scale that comes closest, and the target."""
    amplitude = np.abs(np.asarray(field))[target > 0]
    wanted = target[target > 0]
    return amplitude * (wanted @ amplitude / (amplitude @ amplitude)), wanted
