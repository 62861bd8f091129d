"""How the fields of a preset become a device: one function a kind, (level, key of the unit, fields) -> device."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics import effects, encode
from optics.calibration import calibrate, subtract_background
from optics.detect import Coherent, PhaseShifting
from optics.device import FourierProcessor, JointTransform
from optics.transfer import FourierLens, compile_transfer, dft, pixel_shape


def ideal(level: str, unit: Array | None, pixels: Any) -> FourierProcessor:
    """The exact transform; the three levels are one, and so are all units."""
    return FourierProcessor(dft(pixel_shape(pixels, "pixels")))


def engine(
    level: str,
    unit: Array | None,
    pixels: int,
    wavelength: Any,
    pitch: Any,
    fill: Any,
    pupil: Any,
    dac_bits: Any,
    adc_bits: Any,
    photons: Any,
    read: Any,
    amplitude_error: Any,
    phase_error: Any,
    gain_error: Any,
    aberration: Any,
) -> FourierProcessor:
    """Complex emitters, a lens matched to the pitch, coherent receivers."""
    slm: tuple = (effects.Quantize(dac_bits, signed=True),)
    camera: tuple = (
        effects.BalancedShot(photons),
        effects.Read(read),
        effects.Saturate(),
        effects.Quantize(adc_bits, signed=True),
    )
    if unit is not None:
        of_amplitude, of_phase, of_gain, unit = jax.random.split(unit, 4)
        trim = effects.draw_prnu(of_amplitude, (pixels, pixels), amplitude_error)
        slm += (
            effects.Gain(trim * jnp.exp(1j * phase_error * jax.random.normal(of_phase, (pixels, pixels)))),
        )
        camera = (effects.Gain(effects.draw_prnu(of_gain, (pixels, pixels), gain_error)), *camera)
    if level == "ideal":
        return FourierProcessor(dft(pixels), Coherent(), slm, camera)
    lens = FourierLens(
        pixels,
        pitch,
        wavelength,
        fill=fill,
        detector_fill=fill,
        pupil_radius=pupil * pixels * pitch,
        aberrations=_aberrations(unit, aberration),
    )
    return _calibrated(lens, level, Coherent(), slm, camera)


def liquid_crystal(
    level: str,
    unit: Array | None,
    pixels: int,
    panel_pitch: Any,
    group: int,
    wavelength: Any,
    pupil: Any,
    bits: int,
    stretch: Any,
    residue: Any,
    flicker: Any,
    panel_fill: Any,
    crosstalk_width: Any,
    crosstalk_order: Any,
    power_noise: Any,
    aberration: Any,
    steps: int,
    camera_pitch: Any,
    full_well: Any,
    read_noise: Any,
    quantum_efficiency: Any,
    adc_bits: Any,
    prnu: Any,
    dsnu: Any,
) -> FourierProcessor:
    """Phase modulator of liquid crystal on silicon, double-phase encoding in two exposures, camera with a stepped reference.

    A number is a square of 2·`group` panel pixels a side: a checkerboard of two phases, each on groups of `group` by `group`.
    """
    residues = (0.0, 0.0) if unit is None else effects.draw_lut_error(jax.random.fold_in(unit, 1), residue)
    slm = (
        effects.LaserNoise(power_noise),
        effects.PhaseQuantize(bits),
        effects.Crosstalk(
            # The kernel is given in panel pixels, of which a driven square has `group` a side.
            effects.SuperGaussian(crosstalk_width * group, crosstalk_order),
            neighbours=1,
            response=effects.PhaseLUT(a2=residues[0], a3=residues[1], stretch=stretch),
        ),
        effects.Flicker(flicker, common=True),
        effects.DeadSpace(panel_fill, apply_fill_factor=False),
    )
    pitch = 2 * group * panel_pitch
    camera = _camera(
        unit, pixels, pitch / camera_pitch, full_well, read_noise, quantum_efficiency, adc_bits, prnu, dsnu
    )
    measurement, encoder = PhaseShifting(steps), encode.DoublePhase("checkerboard", frames=2)
    if level == "ideal":
        return subtract_background(FourierProcessor(dft(pixels), measurement, slm, camera, encoder=encoder))
    lens = FourierLens(
        pixels,
        pitch,
        wavelength,
        pupil_radius=pupil * pixels * pitch,
        aberrations=_aberrations(unit, aberration),
        subpixels=2,
    )
    return _calibrated(lens, level, measurement, slm, camera, encoder)


def mirrors(
    level: str,
    unit: Array | None,
    pixels: int,
    mirror_pitch: Any,
    group: int,
    wavelength: Any,
    pupil: Any,
    bits: int,
    contrast: Any,
    stuck: Any,
    power_noise: Any,
    aberration: Any,
    steps: int,
    camera_pitch: Any,
    full_well: Any,
    read_noise: Any,
    quantum_efficiency: Any,
    adc_bits: Any,
    prnu: Any,
    dsnu: Any,
) -> FourierProcessor:
    """Micromirrors: numbers as bit planes of four non-negative parts, whose fields are added in electronics."""
    slm: tuple = (effects.LaserNoise(power_noise), effects.Extinction(contrast))
    if unit is not None:
        slm += (
            effects.StuckPixels(effects.draw_stuck(jax.random.fold_in(unit, 1), (pixels, pixels), stuck)),
        )
    pitch = group * mirror_pitch
    camera = _camera(
        unit, pixels, pitch / camera_pitch, full_well, read_noise, quantum_efficiency, adc_bits, prnu, dsnu
    )
    measurement, encoder = PhaseShifting(steps), encode.BitPlanes(bits, parts=4)
    if level == "ideal":
        device = subtract_background(FourierProcessor(dft(pixels), measurement, slm, camera, encoder=encoder))
    else:
        lens = FourierLens(
            pixels,
            pitch,
            wavelength,
            pupil_radius=pupil * pixels * pitch,
            aberrations=_aberrations(unit, aberration),
        )
        device = _calibrated(lens, level, measurement, slm, camera, encoder)
    # A mirror that is switched on takes its own leak away: what it adds is less than the light of a mirror.
    return eqx.tree_at(lambda d: d.output_gain, device, device.output_gain / (1 - 1 / jnp.sqrt(contrast)))


def joint(
    level: str,
    unit: Array | None,
    waveguides: int,
    wavelength: Any,
    pitch: Any,
    fill: Any,
    pupil: Any,
    dac_bits: Any,
    adc_bits: Any,
    photons: Any,
    read: Any,
    gain_error: Any,
    aberration: Any,
) -> JointTransform:
    """One-dimensional joint transform correlator on a chip: a slab lens, photodiodes for the power spectrum, receivers behind."""
    cols = (waveguides + 3) // 6
    slm = (effects.Quantize(dac_bits, signed=True),)
    camera: tuple = (
        effects.Shot(photons),
        effects.Read(read),
        effects.Saturate(),
        effects.Quantize(adc_bits),
    )
    detector: tuple = (
        effects.BalancedShot(photons),
        effects.Read(read),
        effects.Saturate(),
        effects.Quantize(adc_bits, signed=True),
    )
    if unit is not None:
        gain = effects.Gain(effects.draw_prnu(jax.random.fold_in(unit, 2), (1, waveguides), gain_error))
        camera, detector = (gain, *camera), (gain, *detector)
    if level == "ideal":
        return JointTransform(dft((1, waveguides)), (1, cols), slm=slm, camera=camera, detector=detector)
    lens = FourierLens(
        (1, waveguides),
        pitch,
        wavelength,
        fill=fill,
        detector_fill=fill,
        pupil_radius=pupil * waveguides * pitch,
        aberrations=_aberrations(unit, aberration),
    )
    # The optics dims; a convolution read off it is scaled back by what one waveguide gives another.
    transfer = compile_transfer(lens)
    gains = calibrate(FourierProcessor(transfer))
    return JointTransform(
        transfer if level == "compiled" else lens,
        (1, cols),
        slm=slm,
        camera=camera,
        detector=detector,
        input_gain=gains.input_gain,
        output_gain=gains.output_gain,
    )


def _calibrated(
    lens: FourierLens, level: str, measurement: Any, slm: tuple, camera: tuple, encoder: Any = None
) -> FourierProcessor:
    """The device with the gains of its own optics, found without converters and noise, as long averaging would."""
    transfer = compile_transfer(lens)
    whole = transfer
    if lens.subpixels > 1:
        # A number lights all sub-pixels of its pixel alike.
        matrix = transfer.matrix.reshape(
            -1, lens.shape[0], lens.subpixels, lens.shape[1], lens.subpixels
        ).sum((2, 4))
        whole = type(transfer)(matrix.reshape(matrix.shape[0], -1), lens.shape)
    gains = calibrate(FourierProcessor(whole))
    # One driven pixel is brightest where all of its sub-pixels are.
    peak = jnp.max(jnp.abs(transfer.matrix))
    device = FourierProcessor(
        transfer, measurement, slm, camera, gains.input_gain, gains.output_gain, peak, encoder=encoder
    )
    device = device if encoder is None else subtract_background(device)
    return device if level == "compiled" else eqx.tree_at(lambda d: d.transfer, device, lens)


def _aberrations(unit: Array | None, rms: Any) -> Array:
    """Zernike coefficients in waves: astigmatism to spherical aberration (Noll 5 to 11), together of the rms given; focus is set."""
    if unit is None:
        return jnp.zeros(0)
    drawn = jax.random.normal(jax.random.fold_in(unit, 3), (7,)) * rms / jnp.sqrt(7)
    return jnp.concatenate([jnp.zeros(4), drawn])


def _camera(unit, pixels, binning, full_well, read_noise, quantum_efficiency, adc_bits, prnu, dsnu) -> tuple:
    """The pixels of a camera that cover one pixel of the device are read as one."""
    area = binning**2
    shape, patterns = (pixels, pixels), {}
    if unit is not None:
        of_prnu, of_dsnu = jax.random.split(jax.random.fold_in(unit, 2))
        # Independent patterns average over the pixels that are added.
        patterns = dict(
            prnu=effects.draw_prnu(of_prnu, shape, prnu / binning),
            dsnu=effects.draw_dsnu(of_dsnu, shape, dsnu * binning),
        )
    return effects.camera(full_well * area, read_noise * binning, adc_bits, quantum_efficiency, **patterns)


BUILDERS = {
    "ideal": ideal,
    "engine": engine,
    "liquid crystal": liquid_crystal,
    "mirrors": mirrors,
    "joint transform": joint,
}
