"""Calibration: measure a device once, and correct its numbers from then on."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import (
    as_floats,
    check_choice,
    check_instance,
    check_key,
    check_memory,
    check_whole,
    describe,
)
from optics._numerics import safe_divide, safe_sign
from optics._program import as_one_program
from optics._typing import ArrayLike, CountLike, DeviceLike, KeyLike, TextLike
from optics.device import AbstractDevice, FourierProcessor, compile_device
from optics.effects import PhaseLUT
from optics.expectation import expected
from optics.transfer import Dense, dft
from optics.twin import inverse_table

COMPENSATIONS = ("amplitude", "complex", "matrix")
# Devices of more pixels are probed with planes of random phases by default.
LARGEST_WHOLE_PROBE = 1024
RANDOM_PROBES = 16
FEWEST_PROBES = 3
# Rounds in which either side's gains are solved for, and steps of the solver for those before the transform.
GAIN_ROUNDS = 8
GAIN_STEPS = 6


def calibrate(
    device: DeviceLike,
    probe: ArrayLike | None = None,
    response: ArrayLike | None = None,
    compensation: TextLike = "amplitude",
    key: KeyLike = None,
    draws: CountLike = 1,
) -> FourierProcessor:
    """Measure the map of a device with probes, and set the gains that bring it closest to the exact transform
    F.

    With T the map that the responses to the probes give, by least squares:

        "amplitude", "complex":  output_gain ⊗ input_gain = inverse of the best rank-one factor of T / F,
                                 its amplitudes alone or whole
        "matrix":                input_gain = T⁻¹ F

    Fewer probes than pixels give the gains alone, those whose map comes closest to the responses,

        min Σ_s ‖output · F[input · probe_s] − response_s‖²

    by solving for either side in turn. What the gains do not explain then adds its share, over the root of
    the number of probes, to them.

    Gains cost a multiplication a pixel, and amplitudes keep real numbers real. They leave the differences
    between pairs of pixels: aberrations, a pupil that cuts, a lens phase that is not the one of the
    propagation. A full matrix leaves nothing but noise, at the price of a product that is as large as the
    transform itself.

    A device that was fitted to recorded camera frames (`fit_twin`) corrects its bench by `compensate`.

    Arguments:
        device: whose `input_gain` and `output_gain` are to be set; those that it has are taken off first.
        probe: numbers to transform, shape (count, rows, columns), count at least rows · columns for "matrix",
            and at least 3 for gains. By default one pixel after another, or, on more than 1,024 pixels, 16
            planes of random phases.
        response: transforms of the probe measured on a bench, shape (count, rows, columns), origin at pixel
            n//2; by default those of the device.
        compensation: "amplitude", "complex" or "matrix".
        key: of the device's noise; None calibrates without noise.
        draws: of the noise that are averaged, as in a laboratory. Noise averages the rounding of converters
            away, which a calibration without noise takes for the device's map.

    Returns:
        the device with both gains replaced; the brightest `input_gain` is 1.

    Raises:
        ValueError: an unknown `compensation`, `draws` below 1 or without a key, a `probe` or `response` of
            another shape, probes that are too few or do not tell every pixel apart, numbers that are not
            finite, or a device that is not a `FourierProcessor`.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> print(optics.calibrate(optics.FourierProcessor(lens)).input_gain.shape)
        (5, 5)
    """
    if not isinstance(device, FourierProcessor):
        remedy = ""
        if isinstance(device, AbstractDevice):
            remedy = "; calibrate one with the same lens, and give both of its gains to this device"
        raise ValueError(f"`device` must be a `FourierProcessor`, got {describe(device)}{remedy}.")
    check_choice("compensation", compensation, COMPENSATIONS)
    check_key("key", key)
    if response is not None and probe is None:
        raise ValueError("`probe` must be given with `response`: the numbers that were transformed.")
    check_whole("draws", draws, 1)
    if draws > 1 and key is None:
        raise ValueError(f"`draws` must be 1 without a `key`, got {draws}: all draws would be the same.")
    rows, cols = device.shape
    without_gains = device.with_gains(jnp.ones(()), jnp.ones(()))
    inputs = _default_probe(device) if probe is None else _as_planes("probe", probe, device)
    has_every_pixel = inputs.shape[0] >= rows * cols
    _check_probe(inputs, compensation, probe is None)
    if response is None:
        outputs = _transform(without_gains, inputs, key, draws)
    else:
        outputs = _as_planes("response", response, device)
    if outputs.shape != inputs.shape:
        raise ValueError(f"`response` must have the shape of `probe`, {inputs.shape}, got {outputs.shape}.")
    if not has_every_pixel:
        return device.with_gains(*_fit_gains(inputs, outputs, compensation))
    if probe is None:
        measured = outputs.reshape(-1, rows * cols).T
    else:
        measured = _solve_map(inputs.reshape(-1, rows * cols), outputs.reshape(-1, rows * cols))
    exact = _exact_matrix((rows, cols))
    if compensation == "matrix":
        return device.with_gains(Dense(jnp.linalg.solve(measured, exact), (rows, cols)), jnp.ones(()))
    return device.with_gains(*_gains(measured / exact, (rows, cols), compensation))


def compensate(device: DeviceLike, twin: DeviceLike, compensation: TextLike = "matrix") -> FourierProcessor:
    """Correct a device by what is known of its twin: the inverse of the twin's phase table, and gains
    measured on the twin.

    Arguments:
        device: the bench, or the twin itself.
        twin: `FourierProcessor` of the same shape, such as the `device` of a `Fit`.
        compensation: as in `calibrate`.

    Returns:
        the device, compiled, with both gains replaced; if the twin's modulator has a `PhaseLUT`, with its
        `inverse_table` at the head of `slm`.

    Raises:
        ValueError: another shape, a twin with more than one table, or a device that `calibrate` refuses.
    """
    check_instance("device", device, FourierProcessor, 'the device of `optics.presets.load("engine11")`')
    check_instance("twin", twin, FourierProcessor, "the `device` of a `Fit`")
    check_choice("compensation", compensation, COMPENSATIONS)
    if twin.shape != device.shape:
        raise ValueError(f"`twin` must have the shape {device.shape} of `device`, got {twin.shape}.")
    tables = [effect for effect in twin.slm if isinstance(effect, PhaseLUT)]
    if len(tables) > 1:
        raise ValueError(
            f"`twin` must have one `PhaseLUT` in `slm`, got {len(tables)}; it is compensated already, or "
            "merge them."
        )
    inverse = tuple(map(inverse_table, tables))
    device, twin = (
        part.with_stages(slm=(*inverse, *part.slm)) for part in (compile_device(device), compile_device(twin))
    )
    calibrated = calibrate(twin, compensation=compensation)
    return device.with_gains(calibrated.input_gain, calibrated.output_gain)


def subtract_background(device: DeviceLike) -> AbstractDevice:
    """Measure the field while all numbers are 0, and subtract it from every field from then on.

    Light from the gaps between pixels and from pixels that are never quite dark does not depend on the
    numbers; a lens gathers it in the zero order, where it outshines the modulated light.

    Arguments:
        device: whose gains are kept.

    Returns:
        the device with `background` replaced, shape (rows, columns); a device that keeps no background as it
        is.

    Raises:
        ValueError: `device` is not a device.
    """
    if not isinstance(device, AbstractDevice):
        raise ValueError(
            f"`device` must be a device, such as `optics.presets.load(name)`; got {describe(device)}."
        )
    return device.subtract_background()


def _default_probe(device: FourierProcessor) -> Inexact[Array, "count rows cols"]:
    """One pixel after another, or random phases for a device that has too many."""
    rows, cols = device.shape
    if rows * cols <= LARGEST_WHOLE_PROBE:
        return jnp.eye(rows * cols).reshape(-1, rows, cols)
    turns = jax.random.uniform(jax.random.key(0), (RANDOM_PROBES, rows, cols))
    return jnp.exp(2j * jnp.pi * turns)


def _check_probe(probe: Inexact[Array, "count rows cols"], compensation: str, is_default: bool) -> None:
    """Refuse fewer probes than the compensation takes."""
    count, rows, cols = probe.shape
    if compensation == "matrix" and count < rows * cols:
        if is_default:
            check_memory("device", f"of {rows}×{cols} pixels", 3 * (rows * cols) ** 2, "the full matrix")
        raise ValueError(
            f'`probe` must have at least {rows * cols} planes for `compensation` "matrix" of {rows}×{cols} '
            f'pixels, got {count}; or use "amplitude" or "complex".'
        )
    if count < min(FEWEST_PROBES, rows * cols):
        raise ValueError(f"`probe` must have at least {FEWEST_PROBES} planes, got {count}.")


def _exact_matrix(shape: tuple[int, int]) -> Array:
    exact = dft(shape)
    if isinstance(exact, Dense):
        return exact.matrix
    pixels = shape[0] * shape[1]
    return exact(jnp.eye(pixels).reshape(pixels, *shape)).reshape(pixels, pixels).T


# One program: operation by operation each of them would be compiled.
@as_one_program
def _transform(device: FourierProcessor, numbers: Array, key: Array | None, draws: int) -> Array:
    if draws == 1:
        return device.transform(numbers, key)
    return expected(lambda key: device.transform(numbers, key), key, draws)


@as_one_program
def _gains(ratio: Array, shape: tuple[int, int], compensation: str) -> tuple[Array, Array]:
    """Gains before and after that undo the ratio of a map to the exact one as well as gains can."""
    rows, cols = shape
    after, before = _best_factors(ratio)
    # A phase common to all pixels belongs to one side: the one where it makes the middle pixel real.
    common = jnp.exp(1j * jnp.angle(before[rows * cols // 2]))
    return _invert((before / common).reshape(shape), (after * common).reshape(shape), compensation)


@jax.custom_jvp
def _best_factors(ratio: Array) -> tuple[Array, Array]:
    """The product after ⊗ before that is closest to a matrix: its strongest singular vectors."""
    left, strength, right = jnp.linalg.svd(ratio)
    return left[:, 0] * strength[0], right[0]


@_best_factors.defjvp
def _best_factors_jvp(primals: tuple, tangents: tuple) -> tuple:
    # That of all singular vectors divides by the gaps between all singular values, of which a symmetric lens
    # has pairs that coincide. The strongest vectors need the gaps to the strongest value alone.
    (ratio,), (change,) = primals, tangents
    left, strength, right = jnp.linalg.svd(ratio)
    u, v, first = left[:, 0], jnp.conj(right[0]), strength[0]
    is_other = jnp.arange(strength.size) > 0
    gaps = jnp.where(is_other, first**2 - strength**2, 1)
    of_u, of_v = jnp.conj(left.T) @ (change @ v), right @ (jnp.conj(change.T) @ u)
    turn_u = jnp.where(is_other, (first * of_u + strength * of_v) / gaps, 0)
    turn_v = jnp.where(is_other, (first * of_v + strength * of_u) / gaps, 0)
    # What both turn in common is free; the left one takes all that they turn against each other.
    after = of_u[0] * u + first * (left @ turn_u)
    before = jnp.conj(jnp.conj(right.T) @ turn_v)
    return (u * first, right[0]), (after, before)


def _invert(before: Array, after: Array, compensation: str) -> tuple[Array, Array]:
    """Gains that undo what a map does before and after the transform; the brightest of the first is 1."""
    if compensation == "amplitude":
        after, before = jnp.abs(after), jnp.abs(before)
    weakest = jnp.min(jnp.abs(before))
    return weakest / before, 1 / (after * weakest)


@as_one_program
def _fit_gains(
    probe: Inexact[Array, "count rows cols"], response: Inexact[Array, "count rows cols"], compensation: str
) -> tuple[Array, Array]:
    """Gains before and after that undo the map after · F[before · probe] which comes closest to the
    response.
    """
    shape = probe.shape[1:]
    exact = dft(shape)

    def exact_transposed(planes):
        return jax.linear_transpose(exact, jax.ShapeDtypeStruct(planes.shape, planes.dtype))(planes)[0]

    def adjoint(planes):
        return jnp.conj(exact_transposed(jnp.conj(planes)))

    def improve(before, _):
        spectrum = exact(before * probe)
        after = safe_divide(
            jnp.sum(jnp.conj(spectrum) * response, axis=0), jnp.sum(jnp.abs(spectrum) ** 2, axis=0)
        )

        def normal(before):
            return jnp.sum(jnp.conj(probe) * adjoint(jnp.abs(after) ** 2 * exact(probe * before)), axis=0)

        right = jnp.sum(jnp.conj(probe) * adjoint(jnp.conj(after) * response), axis=0)
        return jax.scipy.sparse.linalg.cg(normal, right, before, maxiter=GAIN_STEPS)[0], after

    before, after = jax.lax.scan(improve, jnp.ones(shape, response.dtype), length=GAIN_ROUNDS)
    after = after[-1]
    # A phase common to all pixels belongs to the side that makes the middle pixel real.
    common = safe_sign(before[shape[0] // 2, shape[1] // 2])
    return _invert(before / common, after * common, compensation)


def _solve_map(inputs: Array, outputs: Array) -> Array:
    """The matrix that takes each row of inputs to its row of outputs, by least squares."""
    rank = int(jnp.linalg.matrix_rank(inputs))
    if rank < inputs.shape[1]:
        raise ValueError(
            f"`probe` must tell all {inputs.shape[1]} pixels apart, but its {inputs.shape[0]} planes have "
            f"rank {rank}."
        )
    return jnp.linalg.lstsq(inputs.astype(outputs.dtype), outputs)[0].T


def _as_planes(name: str, value: ArrayLike, device: FourierProcessor) -> Inexact[Array, "count rows cols"]:
    array = as_floats(name, value)
    if array.ndim != 3 or array.shape[1:] != device.shape:
        raise ValueError(
            f"`{name}` must have the shape (count, {device.shape[0]}, {device.shape[1]}), got {array.shape}."
        )
    bad = ~jnp.isfinite(jnp.abs(array))
    if bool(jnp.any(bad)):
        raise ValueError(
            f"`{name}` must be finite; plane {int(jnp.argmax(jnp.any(bad, axis=(1, 2))))} is not."
        )
    return array
