"""Error against one number of the device at a time; every sweep is one compilation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench.output import Rows, load_device
from optics import AbstractDevice
from optics.detect import Intensity, PhaseDiversity
from optics.effects import BalancedShot, Gain, ParallelAligned, PerMode, PhaseQuantize, Quantize, Shot
from optics.metrics import best_factor, relative_error

# Noll's index of each aberration.
ZERNIKES = {"defocus": 4, "astigmatism": 6, "coma": 8, "spherical aberration": 11}
NANOMETRE, MILLIRADIAN = 1e-9, 1e-3
WIDEST_LINE = 100.0  # nm, as of a diode that is no laser
LARGEST_SOURCE = 0.5  # λ / (pixels · pitch)
WIDEST_ANGLE = 12.0  # degrees
ANGLE_OF_ANALYSED_LIGHT = 6.0  # degrees


class Sweep(NamedTuple):
    """A number of a device, its unit and values, and value -> the device that has it."""

    name: str
    unit: str
    values: np.ndarray
    change: Callable


def sweep_numbers(
    preset: str,
    device: AbstractDevice,
    exact: Callable,
    x: jax.Array,
    w: jax.Array,
    keys: jax.Array,
    quick: bool,
) -> Rows:
    """Relative RMS error of one convolution against each number that the device has.

    Photons of a full-scale pixel, bits of the converters on the modulator and on the camera, aberrations of
    the lens (waves of unit RMS over the pupil, gains unchanged), shift of the detector (pixels), width of the
    spectral line (nm) and radius of the source (mrad), gains unchanged, angle of the polarisation and
    extinction of an analyser, and taps of the kernel.

    Arguments:
        preset: its name; the lens is compiled again for every aberration.
        device: with its effects.
        exact: (x, w) -> the exact convolution in double precision.
        x, w: arrays to convolve.
        keys: of the draws, over which the mean square is taken.
        quick: fewer values, and no sweeps of the lens, which take seconds each.

    Returns:
        a row for each value.
    """
    sweeps = [
        *_effect_sweeps(device, quick),
        *([] if quick else _lens_sweeps(preset, device)),
        *_polarisation_sweeps(device, quick),
    ]
    rows = []
    convolution = jnp.asarray(exact(x, w))
    for sweep in tqdm(sweeps, desc="sweeps", unit=" sweeps", leave=False):
        errors = sweep_error(
            lambda value, key, change=sweep.change: scaled_error(x, w, change(value), key, convolution),
            sweep.values,
            keys,
        )
        rows += [
            _row(sweep.name, sweep.unit, value, error)
            for value, error in zip(sweep.values, errors, strict=True)
        ]
    return rows + _sweep_taps(device, exact, x, w, keys, quick)


def scaled_error(
    x: jax.Array, w: jax.Array, device: AbstractDevice, key: jax.Array | None, exact: jax.Array
) -> jax.Array:
    """Relative RMS error of a convolution of real arrays after the best complex common factor; at most 1.

    Every bench sets the phase of its reference and its gain first. The phase is not known before, so both
    quadratures are detected.

    Arguments:
        x, w: real arrays to convolve.
        device: that convolves them.
        key: of the draw.
        exact: their convolution.

    Returns:
        the error, scalar.
    """
    result = optics.convolve(x.astype(complex), w, device, key)
    in_phase = (best_factor(result, exact) * result).real
    return relative_error(best_factor(in_phase, exact) * in_phase, exact)


def sweep_error(error: Callable, values: np.ndarray, keys: jax.Array) -> np.ndarray:
    """Root mean square over keys of error(value, key) for every value, in one compilation."""
    program = jax.jit(
        lambda values, keys: jax.lax.map(lambda v: jax.lax.map(lambda key: error(v, key), keys), values)
    )
    return np.sqrt(np.mean(np.asarray(program(jnp.asarray(values, jnp.float32), keys)) ** 2, axis=1))


def _effect_sweeps(device: AbstractDevice, quick: bool) -> list[Sweep]:
    """Sweeps of the photons and the bits that the effects of the device have."""
    photons = np.logspace(2, 9, 8 if quick else 15)
    bits = np.array([4.0, 8.0] if quick else [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0])
    sweeps = []
    for name, unit, values, on_modulator, kinds, number in (
        (
            "photons",
            "of a full-scale pixel in a frame",
            photons,
            False,
            Shot | BalancedShot,
            lambda e: e.photons,
        ),
        ("DAC bits", "bits", bits, True, Quantize | PhaseQuantize, lambda e: e.bits),
        ("ADC bits", "bits", bits, False, Quantize, lambda e: e.bits),
    ):
        # A device with two cameras has the same effects in both.
        stages = [
            stage
            for stage in device.stages()
            if stage.is_modulator == on_modulator
            and any(isinstance(effect, kinds) for effect in stage.effects)
        ]

        def change(value, stages=stages, kinds=kinds, number=number):
            chains = {
                stage.name: [
                    eqx.tree_at(number, effect, value) if isinstance(effect, kinds) else effect
                    for effect in stage.effects
                ]
                for stage in stages
            }
            return device.with_stages(**chains)

        if stages:
            sweeps.append(Sweep(name, unit, values, change))
    return sweeps


def describe_lens(preset: str) -> optics.FourierLens | None:
    """The lens of a preset, before it is compiled; None of a device with other optics, or with several."""
    device = load_device(preset, level="wave")
    has_one = isinstance(device, optics.FourierProcessor | optics.JointTransform)
    return device.transfer if has_one and isinstance(device.transfer, optics.FourierLens) else None


def _lens_sweeps(preset: str, device: AbstractDevice) -> list[Sweep]:
    """Sweeps of the lens, compiled for every value in the same program; gains stay those of the good lens."""
    lens = describe_lens(preset)
    if lens is None or not isinstance(device.transfer, optics.Dense):
        return []
    # Compiling once takes as long as propagating one plane a pixel.
    is_small = max(lens.shape) <= 11 or min(lens.shape) == 1
    count = 7 if is_small else 5
    line_modes, (rings, spokes) = (5, (2, 6)) if is_small else (3, (1, 6))

    def with_lens(lens):
        return eqx.tree_at(lambda device: device.transfer, device, optics.compile_transfer(lens))

    def add_aberration(index):
        def change(value):
            coefficients = jnp.zeros(max(index, lens.aberrations.size))
            coefficients = coefficients.at[: lens.aberrations.size].set(lens.aberrations)
            coefficients = coefficients.at[index - 1].add(value)
            return with_lens(eqx.tree_at(lambda lens: lens.aberrations, lens, coefficients))

        return change

    def shift_detector(value):
        # A tilt of the light moves the image on the detector by the focal length times the angle.
        direction = jnp.asarray([0.0, 1.0]) if lens.shape[0] == 1 else jnp.ones(2) / np.sqrt(2)
        tilt = lens.tilt + value * lens.pitch / lens.focal_length * direction
        return with_lens(eqx.tree_at(lambda lens: lens.tilt, lens, tilt))

    def widen_line(width):
        return with_lens(
            optics.illuminate(lens, optics.light.line(lens.wavelength, NANOMETRE * width, modes=line_modes))
        )

    def widen_source(radius):
        source = optics.light.disc(lens.wavelength, MILLIRADIAN * radius, rings, spokes)
        return with_lens(optics.illuminate(lens, source))

    # The lens makes an image of the source around every spot: its radius in pixels of the detector.
    largest = LARGEST_SOURCE * float(lens.pitch / lens.focal_length) / MILLIRADIAN
    aberrations = ZERNIKES if is_small and min(lens.shape) > 1 else {"coma": 8}
    return [
        *(
            Sweep(name, "waves rms", np.linspace(0, 0.3, count), add_aberration(index))
            for name, index in aberrations.items()
        ),
        Sweep("shift of the detector", "pixels", np.linspace(0, 0.5, count), shift_detector),
        Sweep("line width", "nm", np.linspace(0, WIDEST_LINE, count), widen_line),
        Sweep("radius of the source", "mrad", np.linspace(0, largest, count), widen_source),
    ]


def _polarisation_sweeps(device: AbstractDevice, quick: bool) -> list[Sweep]:
    """Sweeps of light off the director of the modulator, which passes a part of it unmodulated.

    With a reference, which has the same polarisation, both parts are one field. Without, a camera adds their
    intensities, up to the analyser before it.
    """
    if not isinstance(device, optics.FourierProcessor) or isinstance(device.transfer, optics.Modal):
        return []
    count = 3 if quick else 9
    angles = np.linspace(0, WIDEST_ANGLE, count)
    chain = [effect for effect in device.slm if not isinstance(effect, ParallelAligned)]

    def add_effect(angle):
        psi = jnp.deg2rad(angle)
        return device.with_stages(slm=[*chain, ParallelAligned(psi, psi)])

    if not isinstance(device.measurement, Intensity | PhaseDiversity):
        return [Sweep("polarisation off the director", "°", angles, add_effect)]

    def add_modes(weights, modes):
        stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *modes)
        both = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, *jnp.shape(leaf))), device.transfer)
        # The electronics take all of the light to be along the director.
        # A `Modal` divides weights by their sum, which is more than 1 where an analyser leaks.
        power = Gain(jnp.sqrt(jnp.sum(weights)))
        lit = eqx.tree_at(lambda device: device.transfer, device, optics.Modal(both, weights))
        return lit.with_stages(slm=[*chain, PerMode(ParallelAligned(0.0, 0.0), stack), power])

    def turn_light(angle):
        return add_modes(*optics.effects.unmodulated_modes(jnp.deg2rad(angle)))

    def add_analyser(extinction):
        return add_modes(*optics.effects.analysed_modes(np.deg2rad(ANGLE_OF_ANALYSED_LIGHT), 0.0, extinction))

    turned = Sweep("polarisation off the director, no analyser", "°", angles, turn_light)
    if isinstance(device.measurement, PhaseDiversity):
        # Its reference is the same in both modes: right while one of them is weak, as behind no analyser.
        return [turned]
    name = f"analyser along the director, light {ANGLE_OF_ANALYSED_LIGHT:g}° off it"
    return [turned, Sweep(name, "extinction", np.logspace(0, 4, count), add_analyser)]


def _sweep_taps(
    device: AbstractDevice, exact: Callable, x: jax.Array, w: jax.Array, keys: jax.Array, quick: bool
) -> Rows:
    """Error against the side of the kernel: taps beyond it, around the origin, are zero."""
    sides = [n for n in (1, 3, 5, 7, 9, 11, 13, 21) if n < max(device.shape)]
    sides = np.array([*sides[:: 3 if quick else 1], max(device.shape)], float)
    distances = [jnp.minimum(jnp.arange(n), n - jnp.arange(n)) for n in device.shape]

    def kernel(side):
        return w * ((2 * distances[0][:, None] <= side) & (2 * distances[1] <= side))

    convolutions = jnp.asarray(np.stack([exact(x, np.asarray(kernel(side))) for side in sides]))

    def error(i, key):
        side = jnp.asarray(sides, jnp.float32)[i.astype(int)]
        return scaled_error(x, kernel(side), device, key, convolutions[i.astype(int)])

    errors = sweep_error(error, np.arange(len(sides)), keys)
    return [_row("kernel", "taps a side", side, value) for side, value in zip(sides, errors, strict=True)]


def _row(name: str, unit: str, value: float, error: float) -> dict[str, Any]:
    return {"sweep": name, "unit": unit, "value": float(value), "relative_rms_error": float(error)}
