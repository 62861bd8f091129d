"""Products of matrices through light: their noise, time and costs, beside the one-shot geometry."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench import output, plots
from bench.config import Products
from bench.output import Rows
from bench.simulator.one_shot import GEOMETRY, NOTE, make_lenses, measure_geometry
from bench.simulator.speed import compile_gradient
from bench.simulator.sweeps import sweep_error
from bench.simulator.timing import time_ratio
from optics import AbstractDevice, accounting, effects, metrics

SWEEP, PHOTONS, EXPONENT = "sweep", "photons", "exponent"
SPEED, LEDGER, ELECTRONICS = "speed", "ledger", "electronics"
# One product of T. Wang et al., Nat. Commun. 13, 123 (2022): its terms, and detected photons for each.
WANG_TERMS, WANG_PHOTONS = 505_521, 1e-3
# Inputs that the preset `crossbar` takes.
LARGEST_CROSSBAR = 512
# A block of a transformer: 1,024 tokens of width 121.
TOKENS, WIDTH = 1024, 121


def main(options: Products) -> Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: a folder that cannot be written to.
    """
    output.check_folder(options.out)
    rows = measure(options)
    print(tabulate(rows))
    output.write(options.out, "products", rows, options, plots.products(rows))
    return rows


def measure(options: Products) -> Rows:
    """All parts."""
    numbers = optics.presets.load("tensor-bench", size=4 if options.quick else 10, level="wave").lenses
    return [
        *measure_geometry(options, numbers),
        *measure_sweeps(options, numbers),
        *measure_photons(options),
        *measure_speed(options),
        *count_costs(options),
    ]


def tabulate(rows: Rows) -> str:
    """A table a part."""
    columns = {
        GEOMETRY: {"size": "", "reading": "", "pairs": "", "mae": ".1e", "rms": ".1e", "of_spread": ".2g"}
        | {"seconds": ".1f"},
        NOTE: {"text": ""},
        SWEEP: {"device": "", "sweep": "", "unit": "", "value": ".3g", "error": ".2e"},
        PHOTONS: {"terms": ",", "photons": ".3g", "error": ".2e", "of_spread": ".2e", "limit": ".2e"},
        EXPONENT: {"what": "", "exponent": ".3f", "expected": ".1f"},
        SPEED: {"device": "", "shape": "", "what": "", "milliseconds": ".3g", "ratio": ".2f"}
        | {"spread": ".2f"},
        LEDGER: {"device": "", "size": ",", "exposures": ",", "dac": ",", "adc": ",", "per_mac": ".2e"}
        | {"conversions_per_mac": ".2e"},
        ELECTRONICS: {"name": "", "per_mac": ".2e"},
    }
    return "\n\n".join(
        output.table(output.select(rows, operation=part), keys)
        for part, keys in columns.items()
        if output.select(rows, operation=part)
    )


def measure_sweeps(options: Products, numbers: optics.CrossedLenses) -> Rows:
    """Relative RMS error of a product of normally distributed numbers against one number of a device."""
    photons = np.logspace(2, 8, 3 if options.quick else 13)
    # Of the samples of the ramps, each of three by three pixels of the panel.
    shifts = np.linspace(0, 1, 9)
    size = numbers.shape[0]
    bench = optics.presets.load("tensor-bench", size=size)
    devices = {"tensor-bench": bench, "crossbar": _load_square("crossbar", 8 if options.quick else 128)}
    if not options.quick:
        devices["stanford"] = _load_square("stanford", 48)

    lenses = make_lenses(size, numbers, 1.0)

    def with_shift(value):
        moved = eqx.tree_at(lambda lens: lens.shift, lenses, value)
        return eqx.tree_at(lambda device: device.lenses, bench, optics.compile_crossed(moved))

    cases: list[tuple[str, str, str, np.ndarray, Callable]] = []
    if not options.quick:
        cases.append(("tensor-bench", "shift of the image", "samples of the ramps", shifts, with_shift))
    for name, device in devices.items():
        of_light, of_bits = _number_changes(device)
        cases.append((name, "photons", "of a full-scale detector", photons, of_light))
        if not options.quick:
            cases.append((name, "DAC bits", "bits", np.arange(4.0, 11.0), of_bits))
    rows: Rows = []
    for name, what, unit, values, change in tqdm(cases, desc="sweeps", unit=" sweeps", leave=False):
        _, inner, cols = devices[name].product_shape
        errors = _sweep(change, values, (inner, cols), options)
        about = {"operation": SWEEP, "device": name, "shape": f"{inner}×{cols}", "sweep": what, "unit": unit}
        for value, error in zip(values, errors, strict=True):
            rows.append(about | {"value": float(value), "error": float(error)})
    return rows


def _number_changes(device: AbstractDevice) -> tuple[Callable, Callable]:
    """value -> the device with that many photons at full scale, and with that many bits a modulator."""
    shot = effects.Shot | effects.BalancedShot
    return (
        lambda value: _with_number(device, False, shot, lambda effect: effect.photons, value),
        lambda value: _with_number(device, True, effects.Quantize, lambda effect: effect.bits, value),
    )


def _with_number(
    device: AbstractDevice, on_modulator: bool, kinds: Any, number: Callable, value: jax.Array
) -> AbstractDevice:
    """The device with another value of a number of its effects, on its modulators or its detectors."""
    chains = {
        stage.name: [
            eqx.tree_at(number, effect, value) if isinstance(effect, kinds) else effect
            for effect in stage.effects
        ]
        for stage in device.stages()
        if stage.is_modulator == on_modulator
    }
    return device.with_stages(**chains)


def _sweep(change: Callable, values: np.ndarray, shape: tuple[int, int], options: Products) -> np.ndarray:
    """Relative RMS error of square matrices times matrices of a shape, for every value, over draws."""
    a_key, b_key, noise_key = jax.random.split(jax.random.key(options.seed), 3)
    a, b = jax.random.normal(a_key, (shape[0], shape[0])), jax.random.normal(b_key, shape)
    exact = jnp.asarray(np.asarray(a, np.float64) @ np.asarray(b, np.float64))
    return sweep_error(
        lambda value, key: metrics.relative_error(optics.matmul(a, b, change(value), key), exact),
        values,
        jax.random.split(noise_key, 2 if options.quick else 8),
    )


def _load_square(name: str, size: int, **options: str) -> AbstractDevice:
    """A preset of a vector–matrix multiplier with as many inputs as outputs."""
    return optics.presets.load(name, inputs=size, outputs=size, **options)


def measure_photons(options: Products) -> Rows:
    """Error of vector–matrix products by shot noise alone, for numbers from 0 to 1, and its exponents."""
    terms = [16, 128] if options.quick else [16, 64, 256, 1024, 4096]
    photons = np.logspace(-2, 2, 3 if options.quick else 9)
    fixed = terms[len(terms) // 2]
    cases = [(count, 1.0) for count in terms] + [(fixed, float(value)) for value in photons]
    rows = [_measure_shot(count, value, 64, options) for count, value in cases]
    against_terms, against_photons = rows[: len(terms)], rows[len(terms) :]
    exponents = [
        ("relative error against terms", terms, [row["error"] for row in against_terms], -0.5),
        ("error against terms", terms, [row["absolute"] for row in against_terms], 0.5),
        ("error over spread against terms", terms, [row["of_spread"] for row in against_terms], 0.0),
        ("relative error against photons", photons, [row["error"] for row in against_photons], -0.5),
    ]
    rows += [
        {
            "operation": EXPONENT,
            "what": what,
            "exponent": output.growth_exponent(sizes, errors),
            "expected": expected,
        }
        for what, sizes, errors, expected in exponents
    ]
    if not options.quick:
        rows.append(_measure_shot(WANG_TERMS, WANG_PHOTONS, 24, options) | {"published": "Wang 2022"})
    return rows


def _measure_shot(terms: int, photons: float, side: int, options: Products) -> dict[str, Any]:
    """A product of side × terms and terms × side numbers with that many detected photons for each
    multiplication: Poisson counts, or Gaussian ones, which compile faster, in a quick run.
    """
    a_key, b_key, noise_key = jax.random.split(jax.random.key(options.seed), 3)
    a, b = jax.random.uniform(a_key, (side, terms)), jax.random.uniform(b_key, (terms, side))

    def make_device(at_full_scale):
        shot = effects.Shot(at_full_scale, exact=not options.quick)
        return optics.VectorMatrixMultiplier(optics.ExactProduct((1, terms, side)), camera=(shot,))

    device = make_device(1.0)
    # Numbers that are not negative light one detector of a pair, in one of two exposures.
    light = float(jnp.mean(device.expose(device.prepare(a, b))[:, 0, 0, 0]))
    result = np.asarray(optics.matmul(a, b, make_device(photons * terms / light), noise_key), np.float64)
    exact = np.asarray(a, np.float64) @ np.asarray(b, np.float64)
    rms = float(np.sqrt(np.mean((result - exact) ** 2)))
    return {
        "operation": PHOTONS,
        "terms": terms,
        "photons": photons,
        "products": side * side,
        "error": rms / float(np.mean(exact)),
        "absolute": rms,
        "of_spread": rms / float(np.std(exact)),
        "limit": (photons * terms) ** -0.5,
    }


def measure_speed(options: Products) -> Rows:
    """Noisy products against exact ones, forward and with the gradient to both matrices."""
    width = 16 if options.quick else WIDTH
    tokens, repeats = (64, 5) if options.quick else (TOKENS, 15)
    receivers = (effects.BalancedShot(1e6), effects.Read(1e-3), effects.Quantize(11, signed=True))
    waveguides = optics.VectorMatrixMultiplier(
        optics.ExactProduct((1, width, width)),
        optics.Coherent(),
        sources=(effects.Quantize(10, signed=True),),
        slm=(effects.Quantize(7, signed=True),),
        camera=receivers,
    )
    block = tokens, width, width
    crossbar = _load_square("crossbar", width)
    cases = [("crossbar", crossbar, block)]
    if not options.quick:
        # Devices of a few numbers divide a block into so many tiles that smaller products are timed.
        small = optics.CirculantMultiplier(optics.presets.load("engine11"))
        cases += [
            ("coherent, in waveguides", waveguides, block),
            ("stanford", _load_square("stanford", width), block),
            ("tensor-bench 10×10", optics.presets.load("tensor-bench", size=10), (100, 40, 40)),
            ("circulant, engine11", small, (60, 33, 33)),
        ]
    forward, gradient = jax.jit(optics.matmul), compile_gradient(optics.matmul)
    a_key, b_key, noise_key = jax.random.split(jax.random.key(options.seed), 3)
    rows = []
    for name, device, (m, k, n) in tqdm(cases, desc="timing", unit=" devices", leave=False):
        a, b = jax.random.normal(a_key, (m, k)), jax.random.normal(b_key, (k, n))
        for what, call in (("forward", forward), ("gradient", gradient)):
            times = time_ratio(call, (a, b, device, noise_key), call, (a, b, None, None), repeats)
            shape = f"{m:,}×{k} by {k}×{n}"
            rows.append({"operation": SPEED, "device": name, "shape": shape, "what": what, **times})
    return rows


def count_costs(options: Products) -> Rows:
    """Exposures, conversions and joules of products of square matrices, against their size."""
    sizes = (16, 64) if options.quick else (16, 32, 64, 128, 256, 512, 1024)
    # The optics have no price.
    large = optics.presets.load("tensor-bench", size=50, level="ideal")
    crossbar = optics.presets.load("crossbar")
    devices = [("crossbar 128×128", "crossbar", crossbar), ("tensor-bench 50×50", "tensor-bench", large)]
    if not options.quick:
        small = optics.CirculantMultiplier(optics.presets.load("engine11", level="ideal"))
        devices += [
            ("stanford 48×48", "stanford", optics.presets.load("stanford", level="ideal")),
            ("circulant, engine11", "engine11", small),
        ]
    rows: Rows = []
    for size in tqdm(sizes, desc="counting", unit=" sizes", leave=False):
        of_size = []
        if size <= LARGEST_CROSSBAR:
            of_size = [("crossbar of that size", "crossbar", _load_square("crossbar", size))]
        for name, preset, device in devices + of_size:
            counts = accounting.count(lambda device, key, size=size: _square(size, device, key), device)
            hardware = optics.presets.hardware(preset)
            price = accounting.price(counts, hardware)
            rows.append(
                {
                    "operation": LEDGER,
                    "device": name,
                    "hardware": hardware,
                    "size": size,
                    "exposures": counts.exposures,
                    "dac": counts.dac,
                    "adc": counts.adc,
                    "seconds": price.seconds,
                    "joules": price.joules,
                    "per_mac": price.joules / size**3,
                    "per_mac_low": price.low / size**3,
                    "per_mac_high": price.high / size**3,
                    "conversions_per_mac": (counts.dac + counts.adc) / size**3,
                }
            )
    for name in dict.fromkeys(row["device"] for row in rows):
        curve = output.select(rows, device=name)
        exponent = output.growth_exponent(*([row[key] for row in curve] for key in ("size", "per_mac")))
        rows.append(
            {"operation": EXPONENT, "what": f"joules a MAC against size, {name}", "exponent": exponent}
        )
    # A multiply–accumulate is two operations.
    rows += [
        {"operation": ELECTRONICS, "name": name, "per_mac": 2 * cost.value}
        for name, cost in accounting.electronics().items()
    ]
    return rows


def _square(size: int, device: AbstractDevice, key: jax.Array) -> jax.Array:
    zeros = jnp.zeros((size, size))
    return optics.matmul(zeros, zeros, device, key)
