"""Products of matrices through light: the one-shot geometry, noise, time, and what exposures cost."""

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
from bench.config import Products
from bench.output import Rows
from bench.simulator.speed import compile_gradient
from bench.simulator.sweeps import sweep_error
from bench.simulator.timing import time_ratio
from optics import AbstractDevice, accounting, effects, metrics
from optics.transfer import AbstractBilinear

GEOMETRY, SWEEP, PHOTONS, EXPONENT = "geometry", "sweep", "photons", "exponent"
SPEED, LEDGER, ELECTRONICS, NOTE = "speed", "ledger", "electronics", "note"
CONSTANT = "a constant"
# Y. Zhang et al., Nature Photonics 20, 102 (2026): mean absolute and root-mean-square error of the product in
# units of its maximum.
PUBLISHED_MAE, PUBLISHED_RMS = 0.15, 0.1
# Spacing of the ramps that are not whole, in periods an element.
PART_OF_A_CYCLE = 0.8
# Samples a pixel, and the pupil in widths of the panel that they hold: at 50×50 the error is within 0.5 % of
# that with twice as many.
SAMPLING = {"oversampling": 4, "pupil": 1.9}
# Sizes up to which the preset is compiled; larger ones are propagated in full, pair by pair.
LARGEST_COMPILED = 20
# Pairs of matrices that are multiplied at each size.
PAIRS = 10
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


def measure_geometry(options: Products, numbers: optics.CrossedLenses) -> Rows:
    """Error of one-shot products of numbers from 0 to 1: ramps alone, propagated optics, the whole bench.

    Arguments:
        numbers: lenses of the preset of any size, for pitch, wavelength and fill factors.
    """
    sizes, pairs = ((4,), 2) if options.quick else ((10, 20, 30, 40, 50), PAIRS)
    rows: Rows = []
    for size in tqdm(sizes, desc="one-shot products", unit=" sizes", leave=False):
        rng = np.random.default_rng([options.seed, size])
        a, b = rng.random((2, pairs, size, size))
        readings = {
            CONSTANT: lambda a, b: np.full(a.shape, np.mean(a @ b)),
            **_sidelobe_readings(size),
            **_optics_readings(size, numbers, options.quick),
        }
        if size <= LARGEST_COMPILED:
            readings["optics, fitted gains"] = _compiled_reading(size)
        readings |= _bench_readings(size, numbers, options.seed)
        for reading, multiply in readings.items():
            start = time.perf_counter()
            row = compare(multiply, a, b, by_own_maximum=reading != CONSTANT)
            seconds = time.perf_counter() - start
            rows.append({"operation": GEOMETRY, "size": size, "reading": reading, **row, "seconds": seconds})
    return [*rows, *_notes(rows)]


def compare(multiply: Callable, a: np.ndarray, b: np.ndarray, by_own_maximum: bool) -> dict[str, float]:
    """Errors of products of pairs: in units of the maximum; and of the spread of the exact product about its
    mean, in which the exact maximum is given too.

    Arguments:
        multiply: (a, b) -> product.
        a, b: pairs of matrices along the first axis.
        by_own_maximum: divide the product by its own maximum, as the published code does, and not by that of
            the exact product.
    """
    exact = a @ b
    result = np.stack([np.asarray(multiply(*pair), np.float64) for pair in zip(a, b, strict=True)])
    wanted = exact / np.max(exact, (1, 2), keepdims=True)
    scaled = result / np.max(result if by_own_maximum else exact, (1, 2), keepdims=True)
    spread = np.std(exact, (1, 2), keepdims=True)
    return {
        "pairs": len(a),
        "mae": float(np.mean(np.abs(scaled - wanted))),
        "rms": float(np.sqrt(np.mean((scaled - wanted) ** 2))),
        "of_spread": float(np.sqrt(np.mean(((result - exact) / spread) ** 2))),
        "maximum": float(np.mean(np.max(exact, (1, 2)) / spread[:, 0, 0])),
    }


def picture_product(a: np.ndarray, b: np.ndarray, cycles: np.ndarray, width: int) -> np.ndarray:
    """The product by two discrete Fourier transforms: phase ramps, even light and nothing else.

        A[i, x] = a[i, x div width] exp(2πi cycles[i] x / width)
        C[f, j] = Fₓ{Fᵢ{A}[j, x] b[x div width, j]}

    Row i of the result is read at the frequency of its ramp.

    Arguments:
        a, b: square matrices of one size.
        cycles: of the ramps, periods over an element, multiples of 1/size.
        width: samples of an element.
    """
    size = len(a)
    samples = np.arange(size * width)
    light = np.repeat(a, width, axis=1) * np.exp(2j * np.pi * np.outer(cycles, samples / width))
    behind = np.fft.fft(light, axis=0) * np.repeat(b.T, width, axis=1)
    columns = np.round(cycles * size).astype(int) % samples.size
    field = np.fft.fft(behind, axis=1)[:, columns].T
    order = np.arange(size)
    # The phase that the first transform leaves is known.
    return (field * np.exp(2j * np.pi * np.outer(order, order) / size)).real / width


def make_cycles(size: int, spacing: float) -> np.ndarray:
    """Periods of the ramps over an element, around 0; multiples of 1/size, as the detector's pixels take."""
    return round(spacing * size) / size * (np.arange(size) - size // 2)


def calibrate_evenly(
    propagate: Callable, size: int, with_rows: bool
) -> tuple[np.ndarray | float, np.ndarray]:
    """Gains before and after from exposures of matrices of ones.

    Arguments:
        propagate: (a, b) -> field.
        size: of the matrices.
        with_rows: take a second exposure, of ones by the identity, whose column l has the light of element l
            alone; else the gain before is 1.
    """
    ones = np.ones((size, size))
    field = propagate(ones, ones)
    before: np.ndarray | float = 1.0
    if with_rows:
        along = np.mean(np.abs(propagate(ones, np.eye(size)) / field), axis=0)
        before = np.min(along) / along
        field = propagate(ones * before, ones)
    return before, size / field


def _sidelobe_readings(size: int) -> dict[str, Callable]:
    def read(spacing):
        cycles = make_cycles(size, spacing)
        return lambda a, b: picture_product(a, b, cycles, 2 * size)

    return {
        "ramps alone": read(1.0),
        "ramps alone, no whole cycles": read(PART_OF_A_CYCLE),
    }


def _optics_readings(size: int, numbers: optics.CrossedLenses, quick: bool) -> dict[str, Callable]:
    def read(spacing, with_rows=False):
        propagate = _propagation(size, numbers, spacing)
        before, after = calibrate_evenly(propagate, size, with_rows)
        return lambda a, b: (propagate(a * before, b) * after).real

    readings = {
        "optics, gain of one exposure": read(1.0),
        "optics, gains of two exposures": read(1.0, with_rows=True),
    }
    return readings if quick else readings | {"optics, no whole cycles": read(PART_OF_A_CYCLE)}


class FieldOfPair(AbstractBilinear):
    """The field that optics gave of one pair of lights, whatever the power of the laser.

    Full propagation is linear, and takes seconds; exposures that differ in the laser's power share it.

    Arguments:
        field: at the detector.
        light: of the first modulator that gave it.
        peak: of the optics.
    """

    field: jax.Array
    light: jax.Array
    peak: jax.Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(m, k, n)."""
        return (*self.light.shape, self.field.shape[1])

    def __call__(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The field, in proportion to a."""
        return self.field * jnp.sum(a * self.light, (-2, -1), keepdims=True) / jnp.sum(self.light**2)


def _bench_readings(size: int, numbers: optics.CrossedLenses, seed: int) -> dict[str, Callable]:
    """Products of the preset with its effects, with the gains of two exposures."""
    lenses, propagate = make_lenses(size, numbers, 1.0), _propagation(size, numbers, 1.0)
    gains = calibrate_evenly(propagate, size, with_rows=True)
    preset = optics.presets.load("tensor-bench", size=size, level="ideal")
    device = optics.MatrixMatrixMultiplier(
        lenses, preset.measurement, preset.slm_a, preset.slm_b, preset.camera, *gains
    )
    # What the published bench reads of numbers that are not negative, whose phase it does not see.
    of_intensity = eqx.tree_at(lambda d: d.measurement, device, optics.Intensity(lambda amplitude: amplitude))

    def read(device):
        keys = iter(jax.random.split(jax.random.key(seed), PAIRS))

        def multiply(a, b):
            exposure = device.prepare(*(jnp.asarray(matrix, float)[None] for matrix in (a, b)))
            lights = [
                effects.apply(slm, drive, None)[0]
                for slm, drive in zip((device.slm_a, device.slm_b), exposure.drive, strict=True)
            ]
            optics_of_pair = FieldOfPair(jnp.asarray(propagate(*lights)), lights[0], lenses.peak)
            of_pair = eqx.tree_at(lambda device: device.lenses, device, optics_of_pair)
            return of_pair.reconstruct(of_pair.expose(exposure, next(keys)), exposure, real=True)[0]

        return multiply

    return {"bench with a reference": read(device), "bench, intensity alone": read(of_intensity)}


def _compiled_reading(size: int) -> Callable:
    lenses = optics.presets.load("tensor-bench", size=size).lenses
    device = optics.MatrixMatrixMultiplier(lenses).with_fitted_gains()
    return lambda a, b: optics.matmul(a, b, device)


def make_lenses(size: int, numbers: optics.CrossedLenses, spacing: float) -> optics.CrossedLenses:
    """The optics of the preset at another size, or with ramps of another spacing.

    Arguments:
        size: of the matrices.
        numbers: lenses of the preset of any size, for pitch, wavelength and fill factors.
        spacing: of the ramps, periods an element.
    """
    return optics.CrossedLenses(
        (size, size, size),
        float(numbers.focus.pitch),
        float(numbers.focus.wavelength),
        width=2 * size,
        cycles=make_cycles(size, spacing),
        fill=float(numbers.focus.fill),
        detector_fill=float(numbers.focus.detector_fill),
        **SAMPLING,
    )


_propagate = jax.jit(lambda lenses, a, b: lenses(a, b))


def _propagation(size: int, numbers: optics.CrossedLenses, spacing: float) -> Callable:
    """(a, b) -> field, by full propagation."""
    lenses = make_lenses(size, numbers, spacing)
    return lambda a, b: np.asarray(_propagate(lenses, jnp.asarray(a, float), jnp.asarray(b, float)))


def _notes(rows: Rows) -> Rows:
    constants = output.select(rows, reading=CONSTANT)

    def sizes(key, bound):
        return ", ".join(str(row["size"]) for row in constants if row[key] < bound) or "none"

    text = (
        f"A constant has a mean absolute error below {PUBLISHED_MAE} of the maximum at size "
        f"{sizes('mae', PUBLISHED_MAE)}, and an RMS error below {PUBLISHED_RMS} at size "
        f"{sizes('rms', PUBLISHED_RMS)}: compare errors with the spread."
    )
    return [{"operation": NOTE, "text": text}]


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

    def shift(value):
        moved = eqx.tree_at(lambda lens: lens.shift, lenses, value)
        return eqx.tree_at(lambda device: device.lenses, bench, optics.compile_crossed(moved))

    cases: list[tuple[str, str, str, np.ndarray, Callable]] = []
    if not options.quick:
        cases.append(("tensor-bench", "shift of the image", "samples of the ramps", shifts, shift))
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
