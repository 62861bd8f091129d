"""What is measured once about a device and undone in numbers."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics.device import FourierProcessor
from optics.effects import PhaseLUT
from optics.transfer import Dense, dft
from optics.twin import Recording, compiled, fit_twin, inverse_table

COMPENSATIONS = "amplitude", "complex", "matrix"


def calibrate(
    device: Any,
    probe: Any = None,
    response: Any = None,
    compensation: str = "amplitude",
    key: Array | None = None,
    frames: Recording | None = None,
    where: Callable | None = None,
    free: Any = None,
) -> FourierProcessor:
    """Measure the map of a device with probe frames, and set what brings it closest to the exact transform F.

    With recorded camera frames instead, fit the numbers that `where` picks to them (`fit_twin`, which also tells how well
    they are known), and let the twin so found be the device that is measured: `compensate(twin, twin, compensation)`.

    With T the map that the responses to the probes give, by least squares:

        "amplitude", "complex":  post ⊗ pre = inverse of the best rank-one factor of T / F, its amplitudes alone or whole
        "matrix":                pre = T⁻¹ F

    Gains cost a multiplication a pixel, and amplitudes keep real numbers real. What they leave is what differs between
    pairs of pixels: aberrations, a pupil that cuts, a lens phase that is not the one of the propagation. A full matrix
    leaves nothing but noise, at the price of a product that is as large as the transform itself.

    Arguments:
        device: whose `pre` and `post` are to be set; those that it has are taken off first.
        probe: numbers shown, shape (count, rows, columns), count at least rows · columns; by default one pixel after
            another, which takes a device of at most some hundreds of pixels.
        response: transforms measured on a bench, shape (count, rows, columns), origin at pixel n//2; by default those of
            the device.
        compensation: "amplitude", "complex" or "matrix".
        key: of the device's noise; None calibrates with expected values, as long averaging would.
        frames: `Recording` of a bench whose nominal twin is `device`; takes the place of `probe` and `response`.
        where, free: which numbers are fitted to `frames`, as of `fit_twin`.

    Returns:
        the device with `pre` and `post` replaced; the brightest `pre` gain is 1. With `frames` the fitted twin, its optics
        compiled and its phase table, if it has one, undone by an inverse at the head of `slm`.

    Raises:
        ValueError: `frames` together with a probe or without `where`, what `fit_twin` refuses, an unknown `compensation`, a
            `probe` or `response` of another shape, probes that do not tell every pixel, numbers that are not finite, or what
            is no `FourierProcessor`.
    """
    if not isinstance(device, FourierProcessor):
        raise ValueError(f"`device` must be a `FourierProcessor`, got {device!r}.")
    if compensation not in COMPENSATIONS:
        raise ValueError(f"`compensation` must be one of {', '.join(COMPENSATIONS)}, got {compensation!r}.")
    if frames is not None or where is not None:
        if frames is None or where is None or probe is not None or response is not None or key is not None:
            raise ValueError(
                "`frames` must come with `where`, the numbers to fit to them, and without `probe`, `response` and `key`."
            )
        twin = fit_twin(device, frames, where, free).device
        return compensate(twin, twin, compensation)
    rows, cols = device.shape
    plain = eqx.tree_at(
        lambda d: (d.pre, d.post),
        device,
        (jnp.ones(()), jnp.ones(())),
        is_leaf=lambda leaf: isinstance(leaf, Dense),
    )
    if response is not None and probe is None:
        raise ValueError("`probe` must be given with `response`: the numbers that were shown.")
    shown = jnp.eye(rows * cols).reshape(-1, rows, cols) if probe is None else _planes("probe", probe, device)
    seen = _transform(plain, shown, key) if response is None else _planes("response", response, device)
    if seen.shape != shown.shape:
        raise ValueError(f"`response` must have the shape of `probe`, {shown.shape}, got {seen.shape}.")
    found = _map(shown.reshape(-1, rows * cols), seen.reshape(-1, rows * cols), probe is not None)
    exact = dft((rows, cols)).matrix
    if compensation == "matrix":
        pre = Dense(jnp.linalg.solve(found, exact), (rows, cols))
        return _with_gains(device, pre, jnp.ones(()))
    left, strength, right = jnp.linalg.svd(found / exact)
    after, before = left[:, 0] * strength[0], right[0]
    # A phase common to all pixels belongs to one side: the one where it makes the middle pixel real.
    turn = jnp.exp(1j * jnp.angle(before[rows * cols // 2]))
    after, before = after * turn, before / turn
    if compensation == "amplitude":
        after, before = jnp.abs(after), jnp.abs(before)
    weakest = jnp.min(jnp.abs(before))
    return _with_gains(
        device, (weakest / before).reshape(rows, cols), (1 / (after * weakest)).reshape(rows, cols)
    )


def compensate(
    device: FourierProcessor, twin: FourierProcessor, compensation: str = "matrix"
) -> FourierProcessor:
    """Drive a device as its twin is to be driven: with the inverse of the twin's phase table, and the gains measured on the twin.

    Arguments:
        device: the bench, or the twin itself.
        twin: `FourierProcessor` of the same shape, such as the `device` of a `Fit`.
        compensation: as of `calibrate`.

    Returns:
        the device, compiled, with `pre` and `post` replaced; if the twin's modulator has a `PhaseLUT`, with its
        `inverse_table` at the head of `slm`.

    Raises:
        ValueError: another shape, a twin with more than one table, or what `calibrate` refuses.
    """
    if twin.shape != device.shape:
        raise ValueError(f"`twin` must have the shape {device.shape} of `device`, got {twin.shape}.")
    tables = [effect for effect in twin.slm if isinstance(effect, PhaseLUT)]
    if len(tables) > 1:
        raise ValueError(
            f"`twin` must have one `PhaseLUT` in `slm`, got {len(tables)}; it is compensated already, or merge them."
        )
    inverse = tuple(map(inverse_table, tables))
    device, twin = (_driven(compiled(d), inverse) for d in (device, twin))
    gained = calibrate(twin, compensation=compensation)
    return _with_gains(device, gained.pre, gained.post)


# One program: operation by operation each of them would be compiled.
_transform = eqx.filter_jit(lambda device, numbers, key: device.transform(numbers, key))


def _driven(device: FourierProcessor, first: tuple[PhaseLUT, ...]) -> FourierProcessor:
    """The device with effects at the head of its modulator's chain."""
    return eqx.tree_at(lambda d: d.slm, device, (*first, *device.slm))


def subtract_background(device: FourierProcessor) -> FourierProcessor:
    """Measure the field while all numbers are 0, and subtract it from every field from then on.

    Light from the gaps between pixels and from pixels that are never quite dark does not depend on the numbers; a lens
    gathers it in the zero order, where it outshines what is modulated.

    Arguments:
        device: `FourierProcessor`; gains that it has are kept.

    Returns:
        the device with `background` replaced, shape (rows, columns).
    """
    return eqx.tree_at(lambda d: d.background, device, device.unmodulated())


def _with_gains(device: FourierProcessor, pre: Any, post: Array) -> FourierProcessor:
    # `tree_at` looks no further than the map that may stand in for a gain.
    return eqx.tree_at(
        lambda d: (d.pre, d.post), device, (pre, post), is_leaf=lambda leaf: isinstance(leaf, Dense)
    )


def _map(shown: Array, seen: Array, general: bool) -> Array:
    """The matrix that takes each row shown to the row seen."""
    if not general:
        return seen.T
    rank = int(jnp.linalg.matrix_rank(shown))
    if rank < shown.shape[1]:
        raise ValueError(
            f"`probe` must tell all {shown.shape[1]} pixels apart, but its {shown.shape[0]} planes have rank {rank}."
        )
    return jnp.linalg.lstsq(shown.astype(seen.dtype), seen)[0].T


def _planes(name: str, value: Any, device: FourierProcessor) -> Inexact[Array, "count rows cols"]:
    array = jnp.asarray(value)
    if array.ndim != 3 or array.shape[1:] != device.shape:
        raise ValueError(
            f"`{name}` must have the shape (count, {device.shape[0]}, {device.shape[1]}), got {array.shape}."
        )
    bad = ~jnp.isfinite(jnp.abs(array))
    if bool(jnp.any(bad)):
        raise ValueError(
            f"`{name}` must be finite; plane {int(jnp.argmax(jnp.any(bad, axis=(1, 2))))} is not."
        )
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(float)
