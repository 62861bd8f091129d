"""From the numbers of a preset to a device: one function a kind.

Each takes the level, the key of a unit or None, the folder of compiled transfers or None, the size, and the
numbers of the tables `lens`, `slm` and `camera` of the data file by name. Those of multipliers of matrices
stand in `_multipliers`, those of light of several wavelengths in `_wavelengths`.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics import effects, encode
from optics._check import as_pixels
from optics._typing import ShapeLike
from optics.calibration import calibrate
from optics.detect import AbstractMeasurement, Coherent, PhaseDiversity, PhaseShifting
from optics.device import AbstractDevice, Correlator, FourierProcessor, JointTransform
from optics.effects import Effect
from optics.encode import Encoder
from optics.presets._multipliers import build_crossbar, build_tensor_bench, build_vector_multiplier
from optics.presets._parts import (
    Table,
    bench_lens,
    binned_camera,
    drive_panel,
    emitters_and_receivers,
    grouped_fill,
    panel_crosstalk,
    shape_on_panel,
    waveguide_lens,
)
from optics.presets._wavelengths import build_incoherent_correlator, build_wavelength_channels
from optics.transfer import Dense, FourierLens, compile_transfer, dft


def build_ideal(level: str, unit: Array | None, folder: Path | None, pixels: ShapeLike) -> FourierProcessor:
    """The exact transform; the three levels are the same, and so are all units."""
    return FourierProcessor(dft(as_pixels("pixels", pixels)))


def build_engine(
    level: str, unit: Array | None, folder: Path | None, pixels: int, lens: Table, slm: Table, camera: Table
) -> FourierProcessor:
    """Complex emitters, a lens matched to the pitch, coherent receivers."""
    emitters, receivers, unit = emitters_and_receivers(pixels, slm, camera, unit)
    make_lens = functools.partial(waveguide_lens, pixels, lens, unit)
    return _processor(level, folder, make_lens, pixels, Coherent(), emitters, receivers)


def build_liquid_crystal(
    level: str,
    unit: Array | None,
    folder: Path | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
) -> FourierProcessor:
    """Phase panel of liquid crystal on silicon, camera with a stepped reference.

    A number is a square of `group` panel pixels a side, which show its two phases in two exposures. The bench
    is used as laboratories use such parts: an exposure meter sets full scale, each frame is divided by the
    power that the laser had, panel pixels of a square differ by a level to set phases between levels, and
    drives allow for crosstalk and for the response of the pixels, which a calibration has found.
    """
    shape = shape_on_panel(pixels, slm["group"], slm)
    driven, encoder = drive_panel(slm, unit)
    flicker = effects.Flicker(slm["flicker"], common=True)
    panel = (
        *driven,
        flicker,
        *_polarisation(slm),
        effects.DeadSpace(slm["panel_fill"], apply_fill_factor=False),
        effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),
    )
    pitch = slm["group"] * slm["panel_pitch"]
    make_lens = functools.partial(bench_lens, shape, pitch, lens, unit, subpixels=2)
    frames = binned_camera(camera, shape, pitch, unit)
    measurement = PhaseShifting(camera["steps"])
    device = _processor(level, folder, make_lens, shape, measurement, panel, frames, encoder, True)
    # Ripple dims the light of all pixels alike in its interference with the reference.
    dimmed = flicker(jnp.ones((1, 1)), None)[0, 0].real
    for effect in _polarisation(slm):
        dimmed = dimmed * jnp.cos(effect.polarisation) * jnp.cos(effect.analyser)
    return device.with_gains(device.input_gain, device.output_gain / dimmed)


def _polarisation(slm: Table) -> tuple[Effect, ...]:
    """The polarisation of the light and of what it interferes with, where the preset has them."""
    if "polarisation" not in slm:
        return ()
    return (effects.ParallelAligned(slm["polarisation"], slm["analyser"]),)


def build_intensity(
    level: str,
    unit: Array | None,
    folder: Path | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
) -> FourierProcessor:
    """Phase panel, and a camera without a reference beam: frames of known defocus, and a phase retrieval.

    The numbers are those of `build_liquid_crystal`. As large a part of the panel beside them shows a fixed
    pattern. What turns the light of the whole panel, its ripple, no intensity shows. The panel sends the same
    light in every exposure, so that full scale is one number. |z|² is that of a point, so that the pixels of
    the camera that are read are few of those that cover a number.
    """
    # The fixed pattern takes the other half.
    shape = shape_on_panel(pixels, slm["group"], slm | {"panel_columns": slm["panel_columns"] // 2})
    driven, encoder = drive_panel(slm, unit)
    panel = (
        *driven,
        effects.DeadSpace(slm["panel_fill"], apply_fill_factor=False),
        effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),
    )
    pitch, window = slm["group"] * slm["panel_pitch"], camera["window"] * camera["camera_pitch"]
    make_lens = functools.partial(
        bench_lens, shape, pitch, lens, unit, subpixels=2, detector_fill=jnp.minimum(window / pitch, 1)
    )
    frames = binned_camera(camera, shape, window, unit)
    measurement = PhaseDiversity(
        camera["steps"], camera["reference"] / camera["margin"], iterations=camera["iterations"]
    )
    device = _processor(level, folder, make_lens, shape, measurement, panel, frames, encoder)
    # How bright the camera is on the average where every panel pixel has a phase of its own.
    transfer = compile_transfer(device.transfer, folder=folder) if level == "wave" else device.transfer
    light = jnp.exp(2j * jnp.pi * jax.random.uniform(jax.random.key(0), shape))
    field = FourierProcessor(transfer).transform(light)
    full_scale = camera["margin"] * jnp.sqrt(jnp.mean(field.real**2 + field.imag**2))
    return eqx.tree_at(lambda d: d.full_scale, device, full_scale, is_leaf=lambda leaf: leaf is None)


def build_mirrors(
    level: str,
    unit: Array | None,
    folder: Path | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
) -> FourierProcessor:
    """Micromirrors: numbers as bit planes of four non-negative parts, their fields added in electronics."""
    shape = shape_on_panel(pixels, slm["group"], slm)
    panel: tuple[Effect, ...] = (effects.Extinction(slm["contrast"]),)
    if unit is not None:
        stuck = effects.draw_stuck(jax.random.fold_in(unit, 1), shape, slm["stuck"])
        panel += (effects.StuckPixels(stuck),)
    panel += (effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),)
    pitch = slm["group"] * slm["mirror_pitch"]
    make_lens = functools.partial(bench_lens, shape, pitch, lens, unit)
    frames = binned_camera(camera, shape, pitch, unit)
    measurement, encoder = PhaseShifting(camera["steps"]), encode.BitPlanes(slm["bits"], parts=4)
    device = _processor(level, folder, make_lens, shape, measurement, panel, frames, encoder, True)
    # A mirror that is switched on takes its own leak away: it adds less than the light of a mirror.
    contrast = 1 - 1 / jnp.sqrt(slm["contrast"])
    return device.with_gains(device.input_gain, device.output_gain / contrast)


def build_joint_transform(
    level: str,
    unit: Array | None,
    folder: Path | None,
    waveguides: int,
    lens: Table,
    slm: Table,
    camera: Table,
) -> JointTransform:
    """Joint transform correlator on a chip: one line of waveguides, a slab lens, photodiodes, receivers."""
    columns = (waveguides + 3) // 6
    modulators = (effects.Quantize(slm["dac_bits"], signed=True),)
    photodiodes: tuple[Effect, ...] = (
        effects.Shot(camera["photons"]),
        effects.Read(camera["read"]),
        effects.Saturate(),
        effects.Quantize(camera["adc_bits"]),
    )
    receivers: tuple[Effect, ...] = (
        effects.BalancedShot(camera["photons"]),
        effects.Read(camera["read"]),
        effects.Saturate(),
        effects.Quantize(camera["adc_bits"], signed=True),
    )
    if unit is not None:
        of_gain = jax.random.fold_in(unit, 2)
        gain = effects.Gain(effects.draw_prnu(of_gain, (1, waveguides), camera["gain_error"]))
        photodiodes, receivers = (gain, *photodiodes), (gain, *receivers)
    make_device = functools.partial(
        JointTransform,
        shape=(1, columns),
        slm=modulators,
        camera=photodiodes,
        detector=receivers,
        # The bound on the light is many times what these lines give.
        metering=True,
    )
    if level == "ideal":
        return make_device(dft((1, waveguides)))
    slab = waveguide_lens((1, waveguides), lens, unit)
    # The lens dims; a convolution read off it is scaled back by the gain from one waveguide to another.
    transfer = compile_transfer(slab, folder=folder)
    gains = calibrate(FourierProcessor(transfer))
    return make_device(
        transfer if level == "compiled" else slab, input_gain=gains.input_gain, output_gain=gains.output_gain
    )


def build_correlator(
    level: str,
    unit: Array | None,
    folder: Path | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
    phase_filter: bool = False,
) -> Correlator:
    """A folded 4f correlator: pairs of panels set complex numbers, or one panel the phases of the filter.

    Panels are grouped as those of `build_liquid_crystal`; light passes one lens twice.
    """
    shape = shape_on_panel(pixels, slm["group"], slm)
    pitch = slm["group"] * slm["panel_pitch"]

    def make_panel(place: int, *addressing: Effect) -> tuple[Effect, ...]:
        if unit is None:
            return (*addressing, panel_crosstalk(slm, None))
        of_residue, of_gain = jax.random.split(jax.random.fold_in(unit, place))
        gain = effects.Gain(effects.draw_prnu(of_gain, shape, slm["amplitude_error"]))
        return (*addressing, panel_crosstalk(slm, of_residue), gain)

    complex_panel = effects.Quantize(slm["bits"], signed=True)
    laser = effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"])
    passing = make_panel(4, complex_panel)
    if phase_filter:
        passing = (
            *make_panel(4, effects.PhaseQuantize(slm["bits"], pixels=slm["group"] ** 2)),
            effects.Flicker(slm["flicker"], common=True),
            effects.DeadSpace(slm["panel_fill"], apply_fill_factor=False),
        )
    make_device = functools.partial(
        Correlator,
        measurement=PhaseShifting(camera["steps"]),
        slm=(*make_panel(1, complex_panel), laser),
        filter=passing,
        camera=binned_camera(camera, shape, pitch, unit),
        encode_filter=encode.flat_spectrum if phase_filter else encode.complex_amplitude,
        metering=True,
    )
    if level == "ideal":
        return make_device(dft(shape))
    of_lens = bench_lens(shape, pitch, lens, unit, fill=grouped_fill(slm), detector_fill=grouped_fill(slm))
    transfer = compile_transfer(of_lens, folder=folder)
    gains = calibrate(FourierProcessor(transfer))
    return make_device(
        transfer if level == "compiled" else of_lens,
        input_gain=gains.input_gain,
        output_gain=gains.output_gain,
    )


BUILDERS: dict[str, Callable[..., AbstractDevice]] = {
    "ideal": build_ideal,
    "engine": build_engine,
    "liquid crystal": build_liquid_crystal,
    "phase panel, intensity": build_intensity,
    "mirrors": build_mirrors,
    "joint transform": build_joint_transform,
    "correlator": build_correlator,
    "phase correlator": functools.partial(build_correlator, phase_filter=True),
    "vector multiplier": build_vector_multiplier,
    "wavelength channels": build_wavelength_channels,
    "incoherent correlator": build_incoherent_correlator,
    "crossbar": build_crossbar,
    "tensor bench": build_tensor_bench,
}


def _processor(
    level: str,
    folder: Path | None,
    make_lens: Callable[[], FourierLens],
    pixels: ShapeLike,
    measurement: AbstractMeasurement,
    slm: tuple[Effect, ...],
    camera: tuple[Effect, ...],
    encoder: Encoder | None = None,
    metering: bool = False,
) -> FourierProcessor:
    """The device at one level; where there is a lens, with the gains of its transfer.

    Gains are calibrated without converters and noise, as long averaging would give them.
    """
    if level == "ideal":
        device = FourierProcessor(dft(pixels), measurement, slm, camera, encoder=encoder, metering=metering)
        return device if encoder is None else device.subtract_background()
    lens = make_lens()
    transfer = compile_transfer(lens, folder=folder)
    gains = calibrate(FourierProcessor(transfer))
    # One driven pixel is brightest where all of its sub-pixels are.
    peak = jnp.max(jnp.abs(transfer.matrix)) if isinstance(transfer, Dense) else transfer.peak
    device = FourierProcessor(
        transfer,
        measurement,
        slm,
        camera,
        gains.input_gain,
        gains.output_gain,
        peak,
        encoder=encoder,
        metering=metering,
    )
    device = device if encoder is None else device.subtract_background()
    return device if level == "compiled" else eqx.tree_at(lambda d: d.transfer, device, lens)
