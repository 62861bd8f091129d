"""From the numbers of a preset to a device: one function a kind.

Each takes the level, the key of a unit or None, the size, and the numbers of the tables `lens`, `slm` and
`camera` of the data file by name.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics import effects, encode
from optics._check import as_pixels, is_concrete
from optics._typing import ScalarLike, ShapeLike
from optics.calibration import calibrate
from optics.detect import AbstractMeasurement, Coherent, PhaseDiversity, PhaseShifting
from optics.device import (
    AbstractDevice,
    Correlator,
    FourierProcessor,
    JointTransform,
    MatrixMatrixMultiplier,
    VectorMatrixMultiplier,
)
from optics.effects import Effect
from optics.encode import Encoder
from optics.transfer import (
    CrossedLenses,
    Dense,
    ExactProduct,
    FourierLens,
    compile_crossed,
    compile_transfer,
    dft,
)
from optics.twin import inverse_table

# The numbers of one table of a preset, by name.
Table = dict[str, ScalarLike]


def build_ideal(level: str, unit: Array | None, pixels: ShapeLike) -> FourierProcessor:
    """The exact transform; the three levels are the same, and so are all units."""
    return FourierProcessor(dft(as_pixels("pixels", pixels)))


def build_engine(
    level: str, unit: Array | None, pixels: int, lens: Table, slm: Table, camera: Table
) -> FourierProcessor:
    """Complex emitters, a lens matched to the pitch, coherent receivers."""
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
    make_lens = functools.partial(_waveguide_lens, pixels, lens, unit)
    return _processor(level, make_lens, pixels, Coherent(), emitters, receivers)


def build_liquid_crystal(
    level: str, unit: Array | None, pixels: ShapeLike, lens: Table, slm: Table, camera: Table
) -> FourierProcessor:
    """Phase panel of liquid crystal on silicon, camera with a stepped reference.

    A number is a square of `group` panel pixels a side, which show its two phases in two exposures. The bench
    is used as laboratories use such parts: an exposure meter sets full scale, each frame is divided by the
    power that the laser had, panel pixels of a square differ by a level to set phases between levels, and
    drives allow for crosstalk and for the response of the pixels, which a calibration has found.
    """
    shape = _on_panel(pixels, slm["group"], slm)
    driven, encoder = _phase_panel(slm, unit)
    flicker = effects.Flicker(slm["flicker"], common=True)
    panel = (
        *driven,
        flicker,
        effects.DeadSpace(slm["panel_fill"], apply_fill_factor=False),
        effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),
    )
    pitch = slm["group"] * slm["panel_pitch"]
    make_lens = functools.partial(_lens, shape, pitch, lens, unit, subpixels=2)
    frames = _camera(camera, shape, pitch, unit)
    measurement = PhaseShifting(camera["steps"])
    device = _processor(level, make_lens, shape, measurement, panel, frames, encoder, True)
    # Ripple dims the light of all pixels alike in its interference with the reference.
    dimmed = flicker(jnp.ones((1, 1)), None)[0, 0].real
    return device.with_gains(device.input_gain, device.output_gain / dimmed)


def build_intensity(
    level: str, unit: Array | None, pixels: ShapeLike, lens: Table, slm: Table, camera: Table
) -> FourierProcessor:
    """Phase panel, and a camera without a reference beam: frames of known defocus, and a phase retrieval.

    The numbers are those of `build_liquid_crystal`. As large a part of the panel beside them shows a fixed
    pattern. What turns the light of the whole panel, its ripple, no intensity shows. The panel sends the same
    light in every exposure, so that full scale is one number. |z|² is that of a point, so that the pixels of
    the camera that are read are few of those that cover a number.
    """
    # The fixed pattern takes the other half.
    shape = _on_panel(pixels, slm["group"], slm | {"panel_columns": slm["panel_columns"] // 2})
    driven, encoder = _phase_panel(slm, unit)
    panel = (
        *driven,
        effects.DeadSpace(slm["panel_fill"], apply_fill_factor=False),
        effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),
    )
    pitch, window = slm["group"] * slm["panel_pitch"], camera["window"] * camera["camera_pitch"]
    make_lens = functools.partial(
        _lens, shape, pitch, lens, unit, subpixels=2, detector_fill=jnp.minimum(window / pitch, 1)
    )
    frames = _camera(camera, shape, window, unit)
    measurement = PhaseDiversity(
        camera["steps"], camera["reference"] / camera["margin"], iterations=camera["iterations"]
    )
    device = _processor(level, make_lens, shape, measurement, panel, frames, encoder)
    # How bright the camera is on the average where every panel pixel has a phase of its own.
    transfer = compile_transfer(device.transfer) if level == "wave" else device.transfer
    light = jnp.exp(2j * jnp.pi * jax.random.uniform(jax.random.key(0), shape))
    parts = transfer.subpixels
    field = transfer(jnp.repeat(jnp.repeat(light, parts, axis=0), parts, axis=1))
    full_scale = camera["margin"] * jnp.sqrt(jnp.mean(field.real**2 + field.imag**2))
    return eqx.tree_at(lambda d: d.full_scale, device, full_scale, is_leaf=lambda leaf: leaf is None)


def build_mirrors(
    level: str, unit: Array | None, pixels: ShapeLike, lens: Table, slm: Table, camera: Table
) -> FourierProcessor:
    """Micromirrors: numbers as bit planes of four non-negative parts, their fields added in electronics."""
    shape = _on_panel(pixels, slm["group"], slm)
    panel: tuple[Effect, ...] = (effects.Extinction(slm["contrast"]),)
    if unit is not None:
        stuck = effects.draw_stuck(jax.random.fold_in(unit, 1), shape, slm["stuck"])
        panel += (effects.StuckPixels(stuck),)
    panel += (effects.LaserNoise(slm["power_noise"], monitor=camera["monitor"]),)
    pitch = slm["group"] * slm["mirror_pitch"]
    make_lens = functools.partial(_lens, shape, pitch, lens, unit)
    frames = _camera(camera, shape, pitch, unit)
    measurement, encoder = PhaseShifting(camera["steps"]), encode.BitPlanes(slm["bits"], parts=4)
    device = _processor(level, make_lens, shape, measurement, panel, frames, encoder, True)
    # A mirror that is switched on takes its own leak away: it adds less than the light of a mirror.
    contrast = 1 - 1 / jnp.sqrt(slm["contrast"])
    return device.with_gains(device.input_gain, device.output_gain / contrast)


def build_joint_transform(
    level: str, unit: Array | None, waveguides: int, lens: Table, slm: Table, camera: Table
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
    slab = _waveguide_lens((1, waveguides), lens, unit)
    # The lens dims; a convolution read off it is scaled back by the gain from one waveguide to another.
    transfer = compile_transfer(slab)
    gains = calibrate(FourierProcessor(transfer))
    return make_device(
        transfer if level == "compiled" else slab, input_gain=gains.input_gain, output_gain=gains.output_gain
    )


def build_correlator(
    level: str,
    unit: Array | None,
    pixels: ShapeLike,
    lens: Table,
    slm: Table,
    camera: Table,
    phase_filter: bool = False,
) -> Correlator:
    """A folded 4f correlator: pairs of panels set complex numbers, or one panel the phases of the filter.

    Panels are grouped as those of `build_liquid_crystal`; light passes one lens twice.
    """
    shape = _on_panel(pixels, slm["group"], slm)
    pitch = slm["group"] * slm["panel_pitch"]

    def make_panel(place: int, *addressing: Effect) -> tuple[Effect, ...]:
        a2, a3 = (0.0, 0.0)
        gain: tuple[Effect, ...] = ()
        if unit is not None:
            of_residue, of_gain = jax.random.split(jax.random.fold_in(unit, place))
            a2, a3 = effects.draw_lut_error(of_residue, slm["residue"])
            gain = (effects.Gain(effects.draw_prnu(of_gain, shape, slm["amplitude_error"])),)
        kernel = effects.SuperGaussian(slm["crosstalk_width"] * slm["group"], slm["crosstalk_order"])
        response = effects.PhaseLUT(a2=a2, a3=a3, stretch=slm["stretch"])
        return (*addressing, effects.Crosstalk(kernel, response=response), *gain)

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
        camera=_camera(camera, shape, pitch, unit),
        encode_filter=encode.flat_spectrum if phase_filter else encode.complex_amplitude,
        metering=True,
    )
    if level == "ideal":
        return make_device(dft(shape))
    of_lens = _lens(shape, pitch, lens, unit, fill=_grouped_fill(slm), detector_fill=_grouped_fill(slm))
    transfer = compile_transfer(of_lens)
    gains = calibrate(FourierProcessor(transfer))
    return make_device(
        transfer if level == "compiled" else of_lens,
        input_gain=gains.input_gain,
        output_gain=gains.output_gain,
    )


def build_vector_multiplier(
    level: str, unit: Array | None, inputs: int, outputs: int, lens: Table, slm: Table, camera: Table
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
            fill=_grouped_fill(slm),
            detector_fill=lens["detector_fill"],
            pupil=lens["pupil"],
            aberrations=_line_aberrations(unit, lens["aberration"]),
        )
    # What leaks is the same on both photodiodes of a pair, which leaves less of their difference.
    make_device = functools.partial(
        VectorMatrixMultiplier, sources=sources, slm=panel, camera=detectors, output_gain=1 / (1 - leak)
    )
    return _multiplier(level, make_device, shape, lenses)


def build_crossbar(
    level: str, unit: Array | None, inputs: int, outputs: int, slm: Table, camera: Table
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
    level: str, unit: Array | None, size: int, lens: Table, slm: Table, camera: Table
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
            fill=_grouped_fill(slm),
            detector_fill=lens["detector_fill"],
            pupil=lens["pupil"],
            aberrations=_line_aberrations(unit, lens["aberration"]),
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
    "crossbar": build_crossbar,
    "tensor bench": build_tensor_bench,
}


def _processor(
    level: str,
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
    transfer = compile_transfer(lens)
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


def _phase_panel(slm: Table, unit: Array | None) -> tuple[tuple[Effect, ...], Encoder]:
    """What a phase panel does to its drive, and drives that allow for it as a calibration of it would."""
    a2, a3 = (0.0, 0.0)
    if unit is not None:
        a2, a3 = effects.draw_lut_error(jax.random.fold_in(unit, 1), slm["residue"])
    table = effects.PhaseLUT(a2=a2, a3=a3, stretch=slm["stretch"])
    crosstalk = effects.Crosstalk(
        # The kernel is given in panel pixels; a driven square has `group` of them a side.
        effects.SuperGaussian(slm["crosstalk_width"] * slm["group"], slm["crosstalk_order"]),
        subpixels=2,
        response=table,
        keep_subpixels=True,
    )
    # The table of the nominal panel is a straight line, which needs no inverse.
    is_straight = unit is None and is_concrete(slm["stretch"]) and slm["stretch"] == 0
    addressing = () if is_straight else (inverse_table(table, beyond="highest"),)
    levels = effects.PhaseQuantize(slm["bits"], pixels=slm["group"] ** 2)
    encoder = encode.Predistorted(encode.SequentialPhase(), (*addressing, crosstalk))
    return (*addressing, levels, crosstalk), encoder


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


def _grouped_fill(slm: Table) -> ScalarLike:
    """Linear share of a square of panel pixels that is between the outer edges of the outer ones."""
    return 1 - (1 - slm["panel_fill"] ** 0.5) / slm["group"]


def _on_panel(pixels: ShapeLike, group: int, slm: Table) -> tuple[int, int]:
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


def _waveguide_lens(pixels: ShapeLike, lens: Table, unit: Array | None) -> FourierLens:
    """A lens between emitters and receivers of the same pitch and fill."""
    widest = max(pixels) if isinstance(pixels, tuple) else pixels
    matched = widest * lens["pitch"] ** 2 / lens["wavelength"]
    return _lens(
        pixels,
        lens["pitch"],
        lens,
        unit,
        focal_length=lens.get("focal", 1.0) * matched,
        fill=lens["fill"],
        detector_fill=lens["fill"],
    )


def _lens(
    pixels: ShapeLike, pitch: ScalarLike, lens: Table, unit: Array | None, **options: ScalarLike
) -> FourierLens:
    widest = max(pixels) if isinstance(pixels, tuple) else pixels
    return FourierLens(
        pixels,
        pitch,
        lens["wavelength"],
        pupil_radius=lens["pupil"] * widest * pitch,
        aberrations=_aberrations(unit, lens["aberration"]),
        **options,
    )


def _aberrations(unit: Array | None, rms: ScalarLike) -> Array:
    """Zernike coefficients in waves, astigmatism to spherical aberration (Noll 5 to 11), `rms` in all."""
    if unit is None:
        return jnp.zeros(0)
    coefficients = jax.random.normal(jax.random.fold_in(unit, 3), (7,)) * rms / jnp.sqrt(7)
    return jnp.concatenate([jnp.zeros(4), coefficients])


def _line_aberrations(unit: Array | None, rms: ScalarLike) -> Array:
    """Zernike coefficients of a cylindrical lens in waves, defocus and spherical aberration, `rms` in all."""
    if unit is None:
        return jnp.zeros(0)
    coefficients = jax.random.normal(jax.random.fold_in(unit, 3), (2,)) * rms / jnp.sqrt(2)
    return jnp.zeros(11).at[jnp.array([3, 10])].set(coefficients)


def _camera(
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
