"""From the numbers of a preset to a device in light of several wavelengths, as in `_build`."""

from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics import effects
from optics import light as lights
from optics._typing import ShapeLike
from optics.calibration import calibrate
from optics.detect import Coherent
from optics.device import FourierProcessor, IncoherentCorrelator, WavelengthChannels
from optics.effects import Effect
from optics.presets._parts import (
    Table,
    bench_lens,
    binned_camera,
    emitters_and_receivers,
    grouped_fill,
    panel_crosstalk,
    shape_on_panel,
    waveguide_lens,
)
from optics.transfer import Modal, compile_transfer, dft, illuminate

# m/s, exact by definition.
SPEED_OF_LIGHT = 299_792_458.0


def build_wavelength_channels(
    level: str, unit: Array | None, folder: Path | None, pixels: int, lens: Table, slm: Table, camera: Table
) -> WavelengthChannels:
    """The engine of `build_engine` with a wavelength for each of several planes."""
    count = lens["channels"]
    if unit is None:
        emitters, receivers, _ = emitters_and_receivers(pixels, slm, camera, None)
    else:
        keys = jax.random.split(jax.random.fold_in(unit, 4), count)
        of_channels = jax.vmap(lambda key: emitters_and_receivers(pixels, slm, camera, key)[0])(keys)
        emitters, receivers, unit = emitters_and_receivers(pixels, slm, camera, unit)
        emitters = (*emitters[:-1], effects.PerMode(emitters[-1], of_channels[-1]))
    if level == "ideal":
        exact = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), dft(pixels))
        engine = FourierProcessor(Modal(exact, jnp.ones(count)), Coherent(), emitters, receivers)
        return WavelengthChannels(engine, camera["crosstalk"])
    # The middle of the grid is the wavelength that the lens is made for.
    offsets = jnp.arange(count) - (count - 1) / 2
    detuning = offsets * lens["spacing"] * lens["wavelength"] / SPEED_OF_LIGHT
    channels = lights.Light(jnp.ones(count), lens["wavelength"], detuning=detuning)
    described = illuminate(waveguide_lens(pixels, lens, unit), channels)
    transfer = compile_transfer(described, folder=folder)

    def measure_gains(of_channel):
        calibrated = calibrate(FourierProcessor(of_channel))
        return calibrated.input_gain, calibrated.output_gain

    gains = jax.lax.map(measure_gains, transfer.transfer)
    engine = FourierProcessor(
        transfer if level == "compiled" else described, Coherent(), emitters, receivers, peak=transfer.peak
    )
    return WavelengthChannels(engine, camera["crosstalk"], *gains)


def build_incoherent_correlator(
    level: str,
    unit: Array | None,
    folder: Path | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
) -> IncoherentCorrelator:
    """A 4f correlator lit by a diode: a panel of powers, a filter of two panels, a camera."""
    shape = shape_on_panel(pixels, slm["group"], slm)
    pitch = slm["group"] * slm["panel_pitch"]
    inputs: tuple[Effect, ...] = (effects.Quantize(slm["bits"]),)
    passing: tuple[Effect, ...] = (effects.Quantize(slm["bits"], signed=True), panel_crosstalk(slm, None))
    if unit is not None:
        of_input, of_filter, of_residue = jax.random.split(jax.random.fold_in(unit, 1), 3)
        of_input, of_filter = (
            effects.Gain(effects.draw_prnu(key, shape, slm["amplitude_error"]))
            for key in (of_input, of_filter)
        )
        inputs += (of_input,)
        passing = (passing[0], panel_crosstalk(slm, of_residue), of_filter)
    frames = binned_camera(camera, shape, pitch, unit)
    if level == "ideal":
        return IncoherentCorrelator(dft(shape), slm=inputs, filter=passing, camera=frames)
    fill = grouped_fill(slm)
    of_lens = bench_lens(shape, pitch, lens, unit, fill=fill, detector_fill=fill)
    gains = calibrate(FourierProcessor(compile_transfer(of_lens, folder=folder)))
    line = lights.line(lens["wavelength"], lens["line_width"], modes=lens["modes"])
    described = illuminate(of_lens, line)
    return IncoherentCorrelator(
        described if level == "wave" else compile_transfer(described, folder=folder),
        slm=inputs,
        filter=(*passing, effects.phase_dispersion(line)),
        camera=frames,
        input_gain=gains.input_gain,
        output_gain=gains.output_gain,
    )
