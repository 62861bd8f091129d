"""Parts that the benches of the presets share: panels, lenses, cameras, from the numbers of their tables."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics import effects, encode
from optics._check import as_pixels, is_concrete
from optics._typing import ScalarLike, ShapeLike
from optics.effects import Effect
from optics.encode import Encoder
from optics.transfer import FourierLens
from optics.twin import inverse_table

# The numbers of one table of a preset, by name.
Table = dict[str, ScalarLike]


def shape_on_panel(pixels: ShapeLike, group: int, slm: Table) -> tuple[int, int]:
    """The shape of the numbers, on squares of `group` panel pixels a side."""
    shape = as_pixels("pixels", pixels)
    panel = slm["panel_rows"], slm["panel_columns"]
    if any(n * group > most for n, most in zip(shape, panel, strict=True)):
        rows, cols = (most // group for most in panel)
        raise ValueError(
            f"`pixels` of {shape[0]}×{shape[1]} numbers do not fit the panel of "
            f"{panel[0]}×{panel[1]} pixels: a number takes {group} of them a side, so that {rows}×{cols} "
            "fit; use a smaller `group`."
        )
    return shape


def grouped_fill(slm: Table) -> ScalarLike:
    """Linear share of a square of panel pixels that is between the outer edges of the outer ones."""
    return 1 - (1 - slm["panel_fill"] ** 0.5) / slm["group"]


def panel_crosstalk(slm: Table, key: Array | None, **options: Any) -> effects.Crosstalk:
    """Crosstalk between squares of panel pixels, with the phase table of one panel, drawn with `key`."""
    a2, a3 = (0.0, 0.0) if key is None else effects.draw_lut_error(key, slm["residue"])
    return effects.Crosstalk(
        # The kernel is given in panel pixels; a driven square has `group` of them a side.
        effects.SuperGaussian(slm["crosstalk_width"] * slm["group"], slm["crosstalk_order"]),
        response=effects.PhaseLUT(a2=a2, a3=a3, stretch=slm["stretch"]),
        **options,
    )


def drive_panel(slm: Table, unit: Array | None) -> tuple[tuple[Effect, ...], Encoder]:
    """What a phase panel does to its drive, and drives that allow for it as a calibration of it would."""
    crosstalk = panel_crosstalk(
        slm, None if unit is None else jax.random.fold_in(unit, 1), subpixels=2, keep_subpixels=True
    )
    # The table of the nominal panel is a straight line, which needs no inverse.
    is_straight = unit is None and is_concrete(slm["stretch"]) and slm["stretch"] == 0
    addressing = () if is_straight else (inverse_table(crosstalk.response, beyond="highest"),)
    levels = effects.PhaseQuantize(slm["bits"], pixels=slm["group"] ** 2)
    encoder = encode.Predistorted(encode.SequentialPhase(), (*addressing, crosstalk))
    return (*addressing, levels, crosstalk), encoder


def emitters_and_receivers(
    pixels: int, slm: Table, camera: Table, unit: Array | None
) -> tuple[tuple[Effect, ...], tuple[Effect, ...], Array | None]:
    """Emitters of complex amplitudes and coherent receivers, and what is left of the key of their unit."""
    emitters: tuple[Effect, ...] = (effects.Quantize(slm["dac_bits"], signed=True),)
    receivers: tuple[Effect, ...] = (
        effects.BalancedShot(camera["photons"]),
        effects.Read(camera["read"]),
        effects.Saturate(),
        effects.Quantize(camera["adc_bits"], signed=True),
    )
    if unit is not None:
        of_amplitude, of_phase, of_gain, unit = jax.random.split(unit, 4)
        trim = effects.draw_prnu(of_amplitude, (pixels, pixels), slm["amplitude_error"])
        turn = jnp.exp(1j * slm["phase_error"] * jax.random.normal(of_phase, (pixels, pixels)))
        emitters += (effects.Gain(trim * turn),)
        gain = effects.draw_prnu(of_gain, (pixels, pixels), camera["gain_error"])
        receivers = (effects.Gain(gain), *receivers)
    return emitters, receivers, unit


def waveguide_lens(pixels: ShapeLike, lens: Table, unit: Array | None) -> FourierLens:
    """A lens between emitters and receivers of the same pitch and fill."""
    widest = max(pixels) if isinstance(pixels, tuple) else pixels
    matched = widest * lens["pitch"] ** 2 / lens["wavelength"]
    return bench_lens(
        pixels,
        lens["pitch"],
        lens,
        unit,
        focal_length=lens.get("focal", 1.0) * matched,
        fill=lens["fill"],
        detector_fill=lens["fill"],
    )


def bench_lens(
    pixels: ShapeLike, pitch: ScalarLike, lens: Table, unit: Array | None, **options: ScalarLike
) -> FourierLens:
    widest = max(pixels) if isinstance(pixels, tuple) else pixels
    return FourierLens(
        pixels,
        pitch,
        lens["wavelength"],
        pupil_radius=lens["pupil"] * widest * pitch,
        aberrations=lens_aberrations(unit, lens["aberration"]),
        **options,
    )


def lens_aberrations(unit: Array | None, rms: ScalarLike) -> Array:
    """Zernike coefficients in waves, astigmatism to spherical aberration (Noll 5 to 11), `rms` in all."""
    if unit is None:
        return jnp.zeros(0)
    coefficients = jax.random.normal(jax.random.fold_in(unit, 3), (7,)) * rms / jnp.sqrt(7)
    return jnp.concatenate([jnp.zeros(4), coefficients])


def line_aberrations(unit: Array | None, rms: ScalarLike) -> Array:
    """Zernike coefficients of a cylindrical lens in waves, defocus and spherical aberration, `rms` in all."""
    if unit is None:
        return jnp.zeros(0)
    coefficients = jax.random.normal(jax.random.fold_in(unit, 3), (2,)) * rms / jnp.sqrt(2)
    return jnp.zeros(11).at[jnp.array([3, 10])].set(coefficients)


def binned_camera(
    camera: Table, shape: tuple[int, int], pitch: ScalarLike, unit: Array | None
) -> tuple[Effect, ...]:
    """The camera's effects; its pixels that cover one pixel of the device are added."""
    # Camera pixels a side of a detector pixel, which is a rectangle behind a panel that is no square.
    binning = pitch / camera["camera_pitch"] * (max(shape) / min(shape)) ** 0.5
    patterns = {}
    if unit is not None:
        of_prnu, of_dsnu = jax.random.split(jax.random.fold_in(unit, 2))
        # Independent patterns average over the pixels that are added.
        patterns = dict(
            prnu=effects.draw_prnu(of_prnu, shape, camera["prnu"] / binning),
            dsnu=effects.draw_dsnu(of_dsnu, shape, camera["dsnu"] * binning),
        )
    return effects.camera(
        camera["full_well"],
        camera["read_noise"],
        camera["adc_bits"],
        camera["quantum_efficiency"],
        binned=binning**2,
        **patterns,
    )
