"""From the numbers of a preset to a device that multiplies matrices: one function a kind, as in `_build`.

The line optics of a multiplier compile in seconds, and nothing of them is kept in the folder.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
from jaxtyping import Array

from optics import effects
from optics.detect import PhaseShifting
from optics.device import MatrixMatrixMultiplier, VectorMatrixMultiplier
from optics.effects import Effect
from optics.presets._parts import Table, grouped_fill, line_aberrations
from optics.transfer import CrossedLenses, ExactProduct, compile_crossed


def build_vector_multiplier(
    level: str,
    unit: Array | None,
    folder: Path | None,
    inputs: int,
    outputs: int,
    lens: Table,
    slm: Table,
    camera: Table,
) -> VectorMatrixMultiplier:
    """A line of sources, cylindrical lenses, a panel of powers, balanced pairs of binned camera pixels."""
    sources: tuple[Effect, ...] = (effects.Quantize(slm["source_bits"]),)
    panel: tuple[Effect, ...] = (effects.Quantize(slm["bits"]),)
    # A closed element passes 1 / contrast of the light of an open one.
    leak = 1 / slm["contrast"]
    panel += (effects.Gain(1 - leak), effects.Bias(leak))
    detectors = effects.camera(
        camera["full_well"],
        camera["read_noise"],
        camera["adc_bits"],
        camera["quantum_efficiency"],
        binned=camera["binning"] ** 2,
    )
    if unit is not None:
        of_sources, of_gain = jax.random.split(jax.random.fold_in(unit, 2))
        sources += (effects.Gain(effects.draw_prnu(of_sources, (1, inputs), slm["source_error"])),)
        gain = effects.draw_prnu(of_gain, (1, outputs), camera["gain_error"])
        detectors = (effects.Gain(gain), *detectors)
    shape = 1, inputs, outputs
    lenses = None
    if level != "ideal":
        lenses = CrossedLenses(
            shape,
            slm["group"] * slm["panel_pitch"],
            lens["wavelength"],
            fill=grouped_fill(slm),
            detector_fill=lens["detector_fill"],
            pupil=lens["pupil"],
            aberrations=line_aberrations(unit, lens["aberration"]),
        )
    # What leaks is the same on both photodiodes of a pair, which leaves less of their difference.
    make_device = functools.partial(
        VectorMatrixMultiplier, sources=sources, slm=panel, camera=detectors, output_gain=1 / (1 - leak)
    )
    return _multiplier(level, make_device, shape, lenses)


def build_crossbar(
    level: str, unit: Array | None, folder: Path | None, inputs: int, outputs: int, slm: Table, camera: Table
) -> VectorMatrixMultiplier:
    """Cells of waveguides on a chip that divide light between two rails: a circuit, without free space, so
    that the three levels are the same.
    """
    sources: tuple[Effect, ...] = (effects.Quantize(slm["input_bits"], signed=True),)
    cells: tuple[Effect, ...] = (effects.Quantize(slm["weight_bits"], signed=True),)
    receivers: tuple[Effect, ...] = (
        # The light of both photodiodes is full scale whatever the cells pass: twice the noise of a receiver.
        effects.BalancedShot(camera["photons"] / 2),
        effects.Read(camera["read"]),
        effects.Saturate(),
        effects.Quantize(camera["adc_bits"], signed=True),
    )
    if unit is not None:
        of_sources, of_cells, of_gain = jax.random.split(jax.random.fold_in(unit, 2), 3)
        sources += (effects.Gain(effects.draw_prnu(of_sources, (1, inputs), slm["input_error"])),)
        cells += (effects.Gain(effects.draw_prnu(of_cells, (inputs, outputs), slm["cell_error"])),)
        gain = effects.draw_prnu(of_gain, (1, outputs), camera["gain_error"])
        receivers = (effects.Gain(gain), *receivers)
    return VectorMatrixMultiplier(
        ExactProduct((1, inputs, outputs)), None, "differential", sources, cells, receivers
    )


def build_tensor_bench(
    level: str, unit: Array | None, folder: Path | None, size: int, lens: Table, slm: Table, camera: Table
) -> MatrixMatrixMultiplier:
    """Two panels of amplitude and sign, ramps on the first, cylindrical lenses, a camera with a reference."""
    panel: tuple[Effect, ...] = (effects.Quantize(slm["bits"], signed=True),)
    panels = [panel, panel]
    patterns, shift = {}, 0.0
    if unit is not None:
        of_panels, of_camera, of_shift = jax.random.split(jax.random.fold_in(unit, 2), 3)
        panels = [
            (*panel, effects.Gain(effects.draw_prnu(key, (size, size), slm["gain_error"])))
            for key in jax.random.split(of_panels)
        ]
        prnu, dsnu = jax.random.split(of_camera)
        patterns = dict(
            prnu=effects.draw_prnu(prnu, (size, size), camera["prnu"]),
            dsnu=effects.draw_dsnu(dsnu, (size, size), camera["dsnu"]),
        )
        shift = lens["shift"] / slm["group"] * jax.random.normal(of_shift)
    panels[0] += (effects.LaserNoise(slm["power_noise"]),)
    frames = effects.camera(
        camera["full_well"],
        camera["read_noise"],
        camera["adc_bits"],
        camera["quantum_efficiency"],
        **patterns,
    )
    shape = size, size, size
    lenses = None
    if level != "ideal":
        lenses = CrossedLenses(
            shape,
            slm["group"] * slm["panel_pitch"],
            lens["wavelength"],
            width=int(slm["periods"]) * size,
            cycles=[slm["periods"] / 2 * (i - size // 2) for i in range(size)],
            fill=grouped_fill(slm),
            detector_fill=lens["detector_fill"],
            pupil=lens["pupil"],
            aberrations=line_aberrations(unit, lens["aberration"]),
            shift=shift,
            # Enough for this pupil: the error of a product is within 1.3 % of that with 8 samples.
            oversampling=4,
        )
    make_device = functools.partial(
        MatrixMatrixMultiplier,
        measurement=PhaseShifting(camera["steps"]),
        slm_a=panels[0],
        slm_b=panels[1],
        camera=frames,
    )
    return _multiplier(level, make_device, shape, lenses)


def _multiplier(
    level: str,
    make_device: Callable[..., VectorMatrixMultiplier | MatrixMatrixMultiplier],
    shape: tuple[int, int, int],
    lenses: CrossedLenses | None,
) -> VectorMatrixMultiplier | MatrixMatrixMultiplier:
    """The device at one level, with the gains of its optics."""
    if lenses is None:
        return make_device(ExactProduct(shape))
    device = make_device(compile_crossed(lenses))
    leaking = device.output_gain
    calibrated = device.with_fitted_gains()
    calibrated = eqx.tree_at(lambda d: d.output_gain, calibrated, calibrated.output_gain * leaking)
    return calibrated if level == "compiled" else eqx.tree_at(lambda d: d.lenses, calibrated, lenses)
