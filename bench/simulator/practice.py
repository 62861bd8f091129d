"""What laboratories do about crosstalk, converters and light, one measure after the other, and its cost."""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench.output import Rows
from optics import FourierProcessor
from optics.effects import Crosstalk, Effect, LaserNoise, PhaseQuantize
from optics.encode import DoublePhase, Encoder, Predistorted, SequentialPhase
from optics.metrics import best_factor, relative_error


def measure_practice(
    preset: str, device: FourierProcessor, call: Callable, exact: np.ndarray, shots: jax.Array
) -> Rows:
    """Relative RMS error of a convolution through a phase panel, from its parts alone to the preset; and of
    one drawn unit under three calibrations.

    Arguments:
        preset: its name, of which a unit is drawn.
        device: the preset, with `Predistorted` drives of a `SequentialPhase`.
        call: (device, key) -> the convolutions.
        exact: their exact values.
        shots: keys, over whose errors the mean square is taken.

    Returns:
        a row for each step, with the exposures of a convolution.
    """
    unit = optics.presets.load(preset, unit=jax.random.key(0))
    variants = dict(_variants(device))
    variants["a drawn unit, gains of amplitude"] = unit
    for compensation in ("complex", "matrix"):
        gains = optics.calibrate(FourierProcessor(unit.transfer), compensation=compensation)
        variants[f"a drawn unit, {compensation} gains"] = unit.with_gains(gains.input_gain, gains.output_gain)
    rows = []
    for name, variant in tqdm(variants.items(), desc="practice", unit=" benches", leave=False):
        program = eqx.filter_jit(call)
        results = [np.asarray(program(variant, key)) for key in shots]
        errors = [relative_error(best_factor(y, exact).real * y, exact) for y in results]
        row = {"condition": name, "relative_rms_error": float(np.sqrt(np.mean(np.square(errors))))}
        rows.append({"sweep": "practice", **row, "exposures": _count_exposures(variant)})
    return rows


def _variants(device: FourierProcessor) -> Iterator[tuple[str, FourierProcessor]]:
    """Each measure added to those before it."""
    whole = next(effect for effect in device.slm if isinstance(effect, Crosstalk))
    # A checkerboard of two phases has squares of half the side.
    narrower = eqx.tree_at(lambda kernel: kernel.width, whole.kernel, whole.kernel.width / 2)
    half = Crosstalk(narrower, response=whole.response)
    levels = next(effect for effect in device.slm if isinstance(effect, PhaseQuantize))
    plain = PhaseQuantize(levels.bits)
    monitored = next(effect for effect in device.slm if isinstance(effect, LaserNoise))
    board, in_turn = DoublePhase(exposures=2), SequentialPhase()

    def build(
        encoder: Encoder, crosstalk: Effect, quantize: Effect, monitor: bool = True, metering: bool = True
    ) -> FourierProcessor:
        laser = monitored if monitor else LaserNoise(monitored.rin)
        swapped = {Crosstalk: crosstalk, PhaseQuantize: quantize, LaserNoise: laser}
        chain = tuple(swapped.get(type(effect), effect) for effect in device.slm)
        built = FourierProcessor(
            device.transfer,
            device.measurement,
            chain,
            device.camera,
            device.input_gain,
            device.output_gain,
            device.peak,
            encoder=encoder,
            metering=metering,
        )
        return built.subtract_background()

    mixed_half = PhaseQuantize(levels.bits, pixels=levels.pixels / 4)
    yield "checkerboard of two phases", build(board, half, plain, monitor=False, metering=False)
    yield "and an exposure meter", build(board, half, plain, monitor=False)
    yield "and a power monitor", build(board, half, plain)
    yield "and levels mixed in a square", build(board, half, mixed_half)
    yield "phases in turn instead of the checkerboard", build(in_turn, whole, levels)
    yield (
        "and drives that allow for crosstalk (the preset)",
        build(Predistorted(in_turn, (whole,)), whole, levels),
    )


def _count_exposures(device: FourierProcessor) -> int:
    """Exposures of one convolution."""
    ones = jnp.ones(device.shape)
    return optics.accounting.count(lambda d, key: optics.convolve(ones, ones, d, key), device).exposures
