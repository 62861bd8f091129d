"""One exposure multiplies two matrices: the geometry of Zhang et al. (2026), from its ramps to a bench."""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench import output
from bench.config import Products
from bench.output import Rows
from optics import effects
from optics.transfer import AbstractBilinear

GEOMETRY, NOTE = "geometry", "note"
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
