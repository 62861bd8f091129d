"""Camera in the loop: a drive that is corrected by what the camera of a bench saw of the last one."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact
from tqdm.auto import tqdm

from optics._check import (
    as_plane,
    check_choice,
    check_instance,
    check_key,
    check_positive_number,
    check_range,
    check_whole,
    describe,
    is_concrete,
)
from optics._keys import fold_key
from optics._numerics import safe_abs, safe_divide, safe_sign
from optics._phases import unit_phasor
from optics._typing import ArrayLike, CountLike, DeviceLike, KeyLike, PartLike, ScalarLike, TextLike
from optics.device import AbstractDevice, Exposure, External, FourierProcessor
from optics.encode import BitPlanes, Superpixel

# Of Adam: memory of the slope and of its square, and what keeps a slope of zero from a division by zero.
MEMORY, MEMORY_OF_SQUARE, SMALLEST_SLOPE = 0.9, 0.999, 1e-12
# Seconds until a bar of progress shows.
PATIENCE = 3.0


class RefinedPattern(NamedTuple):
    """A drive that was refined with the camera in the loop.

    Attributes:
        exposure: with the drive of each plane that had the smallest error on the camera.
        errors: relative RMS error of every exposure, the first that of the start, shape (rounds + 1, ...).
        exposures: openings of the shutter, all planes and their frames together.
    """

    exposure: Exposure
    errors: Float[Array, "tries *lead"]
    exposures: int


class _Search(NamedTuple):
    """A drive on its way: the numbers that are free, Adam's memory of their slopes, and the best so far."""

    free: Inexact[Array, "*drive"]
    slope: Inexact[Array, "*drive"]
    square: Float[Array, "*drive"]
    count: Array
    best: Inexact[Array, "*drive"]
    smallest: Float[Array, "*lead"]


class _Problem(eqx.Module):
    """What is exposed, what is wanted of it, and how it may change."""

    device: AbstractDevice
    twin: FourierProcessor
    start: Exposure
    wanted: Inexact[Array, "*lead rows cols"]
    weight: Float[Array, "*lead rows cols"]
    rate: Array
    vary: str = eqx.field(static=True)
    brightness: str = eqx.field(static=True)
    steps: int = eqx.field(static=True)

    def exposure(self, free: Array) -> Exposure:
        """The exposure of free numbers, with the settings of the start."""
        drive = self.start.drive
        if self.vary == "phase":
            drive = drive * unit_phasor(free)
        elif self.vary == "amplitude":
            drive = free * safe_sign(drive)
        else:
            drive = free
        return self.start._replace(drive=drive)

    def limit(self, free: Array) -> Array:
        """The nearest numbers that the modulator can set."""
        if self.vary == "phase":
            return free
        if self.vary == "amplitude":
            return jnp.clip(free, 0, 1)
        return free / jnp.maximum(safe_abs(free), 1)

    def misfit(self, result: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead"]:
        """Relative mean square error of each plane."""
        if self.brightness == "free":
            product = jnp.sum(self.weight * jnp.conj(result) * self.wanted, axis=(-2, -1), keepdims=True)
            light = jnp.sum(self.weight * jnp.abs(result) ** 2, axis=(-2, -1), keepdims=True)
            result = result * jax.lax.stop_gradient(safe_divide(product, light))
        error, wanted = result - self.wanted, self.wanted
        square, norm = (self.weight * (a.real**2 + a.imag**2) for a in (error, wanted))
        return jnp.sum(square, axis=(-2, -1)) / jnp.sum(norm, axis=(-2, -1))


def refine_pattern(
    device: DeviceLike,
    wanted: ArrayLike,
    start: PartLike,
    twin: DeviceLike = None,
    rounds: CountLike = 20,
    steps: CountLike = 20,
    rate: ScalarLike = 0.05,
    vary: TextLike = "phase",
    weight: ArrayLike | None = None,
    brightness: TextLike = "fixed",
    key: KeyLike = None,
) -> RefinedPattern:
    """Refine the drive of a bench until its camera sees what is wanted.

        correction = read(device.expose(drive)) − read(twin.expose(drive))       an exposure, then `steps` of
        drive ← drive − rate · Adam(∂/∂drive Σ weight |read(twin.expose(drive)) + correction − wanted|²)

    `read` is `twin.reconstruct`: a field, or amplitudes where the camera sees intensity alone. The error is
    that of the camera, and its slope that of the twin, so that what the twin does not know costs exposures
    and not accuracy, as long as its slopes point the right way. With one step a round this is gradient
    descent with the camera in the loop. More steps take the correction for the same nearby, and need fewer
    exposures. `rate` falls to nothing in a straight line. With the twin for a device it is an inverse design:
    its exposures are simulated.

    On slmsuite's simulated bench of 16×16 phases, for a picture of 8×8 camera pixels, the drive of a twin
    that does not know the table of phases is wrong by 0.21. After 11 exposures that is 0.006, and with one
    step a round 0.044 after 31. A twin that does not know a wavefront of 3 rad either comes from 0.40 to 0.18
    and, after 21, to 0.15: fit it first (`fit_twin`). Pixels that shall be dark gain least, for an amplitude
    near 0 does not say which way the light is wrong: for a digit, half of it dark, drawn units of `slm-fast`
    come from 0.10 … 0.16 to 0.06 … 0.08, for a picture without dark pixels from 0.09 … 0.11 to 0.002.
    Leave light free (`weight`) where none is wanted.

    It costs `rounds` + 1 exposures of each plane, times its frames where they follow each other, and no
    resolution. Full scale stays that of the start: leave headroom for a pattern that is brighter.

    Arguments:
        device: what is exposed: `External`, or a simulated unit.
        wanted: what `twin.reconstruct` shall give, shape (..., rows, columns) or (rows, columns), in its
            unit.
        start: exposure to start from, such as `twin.prepare(numbers)` gives it.
        twin: `FourierProcessor` that gives the slopes; by default that of an `External`.
        rounds: exposures with a correction after each.
        steps: on the twin, of each round.
        rate: of the first step: rad, or amplitudes.
        vary: what is free of each pixel: "phase", "amplitude" (0 to 1, of the sign or phase of the start), or
            "both".
        weight: of the pixels of the detector, not negative, shape (rows, columns) or that of `wanted`; by
            default all count alike.
        brightness: "fixed", or "free" for a pattern up to one common factor a plane.
        key: of the noise of a simulated device, consumed; None exposes without noise.

    Returns:
        `RefinedPattern(exposure, errors, exposures)`. Errors are those of the camera, with its noise.

    Raises:
        ValueError: a `device` that is neither `External` nor `FourierProcessor`, a `twin` that is missing or
            of another shape, a `start` of another device, a `wanted` or a `weight` that does not fit, is not
            finite or is dark, or another choice, count, rate or key.

    Source: Y. Peng et al., Neural holography with camera-in-the-loop training, ACM Trans. Graph. 39, 185
        (2020); D. P. Kingma and J. Ba, Adam, ICLR (2015).

    Example:
        >>> import jax.numpy as jnp, optics
        >>> twin = optics.FourierProcessor(optics.dft(8), optics.Intensity(lambda a: a), full_scale=8.0)
        >>> bench = twin.with_stages(slm=[optics.effects.PhaseLUT(stretch=0.1)])
        >>> start = twin.prepare(jnp.exp(1j * jnp.arange(64.0).reshape(8, 8) ** 2))
        >>> refined = optics.refine_pattern(bench, 1 + jnp.eye(8), start, twin, brightness="free")
        >>> print(refined.exposures, bool(refined.errors[-1] < refined.errors[0] / 3))
        21 True
    """
    if not isinstance(device, External | FourierProcessor):
        raise ValueError(
            "`device` must be an `External` or a `FourierProcessor`, whose frames can be exposed; got "
            f"{describe(device)}."
        )
    twin = _as_twin(twin, device)
    check_whole("rounds", rounds, 1)
    check_whole("steps", steps, 1)
    check_positive_number("rate", rate)
    check_choice("vary", vary, ("phase", "amplitude", "both"))
    check_choice("brightness", brightness, ("fixed", "free"))
    check_key("key", key)
    _check_start(start, twin)
    _check_frames(device, twin, start)
    _check_drive(twin, start, vary)
    result = jax.eval_shape(lambda twin, start: twin.reconstruct(twin.expose(start), start), twin, start)
    wanted = _as_wanted(wanted, result)
    weight = _as_weight(weight, wanted)
    problem = _Problem(
        device, twin, start, wanted, weight, jnp.asarray(rate, weight.dtype), vary, brightness, int(steps)
    )
    search, errors = _run(problem, key, int(rounds))
    frames = jax.eval_shape(lambda twin, start: twin.expose(start), twin, start).shape
    each = math.prod(frames[:-3] if twin.measurement.single_exposure else frames[:-2])
    return RefinedPattern(start._replace(drive=search.best), errors, (int(rounds) + 1) * each)


def _run(problem: _Problem, key: Array | None, rounds: int) -> tuple[_Search, Float[Array, "tries *lead"]]:
    """All rounds, and an exposure of what the last one gives."""
    search = _begin(problem)

    def advance(search, i):
        of_round = fold_key(key, i)
        return _advance(problem, search, 1 - i / rounds, of_round)

    if not all(map(is_concrete, jax.tree.leaves((problem, key)))):
        return jax.lax.scan(advance, search, jnp.arange(rounds + 1))
    errors = []
    for i in tqdm(range(rounds + 1), desc="exposures", delay=PATIENCE, leave=False):
        search, error = advance(search, jnp.asarray(i))
        errors.append(error)
    return search, jnp.stack(errors)


@eqx.filter_jit
def _begin(problem: _Problem) -> _Search:
    drive = problem.start.drive
    if problem.vary == "phase":
        free = jnp.zeros(drive.shape, drive.real.dtype)
        drive = drive * unit_phasor(free)
    else:
        free = safe_abs(drive) if problem.vary == "amplitude" else drive
    zero = jnp.zeros_like(free)
    smallest = jnp.full(problem.wanted.shape[:-2], jnp.inf, problem.weight.dtype)
    return _Search(free, zero, zero.real, jnp.zeros((), problem.weight.dtype), drive, smallest)


@eqx.filter_jit
def _advance(
    problem: _Problem, search: _Search, share: Array, key: Array | None
) -> tuple[_Search, Float[Array, "*lead"]]:
    """Expose, and take the steps on the twin: the next drive, and the error of this one."""
    twin, exposure = problem.twin, problem.exposure(search.free)

    def believe(free):
        exposure = problem.exposure(free)
        return twin.reconstruct(twin.expose(exposure), exposure)

    measured = twin.reconstruct(problem.device.expose(exposure, key), exposure)
    correction = measured - believe(search.free)
    error = jnp.sqrt(problem.misfit(measured)).astype(search.smallest.dtype)
    is_better = (error < search.smallest)[..., None, None, None]
    best = jnp.where(is_better, exposure.drive, search.best)
    smallest = jnp.minimum(error, search.smallest)

    def step(state, _):
        free, slope, square, count = state
        gradient = jax.grad(lambda free: jnp.sum(problem.misfit(believe(free) + correction)))(free)
        # JAX gives the conjugate of the direction in which a complex number climbs.
        gradient = jnp.conj(gradient)
        slope = MEMORY * slope + (1 - MEMORY) * gradient
        square = MEMORY_OF_SQUARE * square + (1 - MEMORY_OF_SQUARE) * (gradient.real**2 + gradient.imag**2)
        count = count + 1
        size = jnp.sqrt(square / (1 - MEMORY_OF_SQUARE**count)) + SMALLEST_SLOPE
        change = problem.rate * share * slope / (1 - MEMORY**count) / size
        return (problem.limit(free - change.astype(free.dtype)), slope, square, count), None

    state = jax.lax.scan(step, search[:4], length=problem.steps)[0]
    return _Search(*state, best, smallest), error


def _as_twin(twin: DeviceLike, device: AbstractDevice) -> FourierProcessor:
    """The twin given, or that of an `External`."""
    if twin is None and isinstance(device, External):
        return device.twin
    check_instance("twin", twin, FourierProcessor, "the nominal device of `optics.presets.load`")
    if twin.shape != device.shape:
        raise ValueError(f"`twin` must have the shape {device.shape} of `device`, got {twin.shape}.")
    return twin


def _check_start(start: PartLike, twin: FourierProcessor) -> None:
    """Refuse what is no exposure of the twin."""
    check_instance("start", start, Exposure, "`twin.prepare(numbers)`")
    needed = jax.eval_shape(lambda twin: twin.prepare(jnp.zeros(twin.shape)), twin)
    for part, form, expected in zip(start._fields, start, needed, strict=True):
        if np.shape(form)[-expected.ndim :] != expected.shape:
            raise ValueError(
                f"`start` must hold a {part} of shape (..., {', '.join(map(str, expected.shape))}), as "
                f"`twin.prepare` gives it, got {describe(form)}."
            )


def _check_frames(device: AbstractDevice, twin: FourierProcessor, start: Exposure) -> None:
    """Refuse a twin that reads other frames than the device gives."""
    frames, expected = (jax.eval_shape(lambda d: d.expose(start), d).shape for d in (device, twin))
    kinds = [type(d.measurement) for d in (device, twin) if isinstance(d, FourierProcessor)]
    if frames != expected or len(set(kinds)) > 1:
        raise ValueError(
            f"`twin` must have the measurement of `device`: its frames have the shape {expected}, those of "
            f"`device` {frames}."
        )


def _check_drive(twin: FourierProcessor, start: Exposure, vary: str) -> None:
    """Refuse to vary what the modulator cannot set."""
    encoder = twin.encoder
    if isinstance(encoder, BitPlanes | Superpixel):
        raise ValueError(
            "`twin` must have a modulator of phases or amplitudes that change continuously, and the mirrors "
            f"of {type(encoder).__name__} are on or off."
        )
    is_real = not jnp.iscomplexobj(start.drive)
    choices = ("phase",) if encoder.phase_only else ("amplitude",) if is_real else (vary,)
    if vary not in choices:
        raise ValueError(
            f"`vary` must be {choices[0]!r}, which is all that the modulator of {type(encoder).__name__} "
            f"sets; got {vary!r}."
        )


def _as_wanted(wanted: ArrayLike, result: jax.ShapeDtypeStruct) -> Inexact[Array, "*lead rows cols"]:
    """What is wanted of each plane."""
    array = as_plane("wanted", wanted)
    if array.shape[-2:] != result.shape[-2:] or array.shape[:-2] not in ((), result.shape[:-2]):
        raise ValueError(
            f"`wanted` must have the shape {result.shape} of what `twin.reconstruct` gives of `start`, or "
            f"{result.shape[-2:]}, got {array.shape}."
        )
    if jnp.iscomplexobj(array) and not jnp.issubdtype(result.dtype, jnp.complexfloating):
        raise ValueError(
            f"`wanted` must be real, as what `twin.reconstruct` gives is, got {array.dtype}; take "
            "its modulus."
        )
    if is_concrete(array):
        planes = np.asarray(array)
        if not np.all(np.isfinite(planes)):
            raise ValueError("`wanted` must be finite, but it holds NaN or infinite numbers.")
        if not np.all(np.any(planes != 0, axis=(-2, -1))):
            raise ValueError("`wanted` must hold light in every plane, but one is 0 everywhere.")
    return jnp.broadcast_to(array, result.shape)


def _as_weight(
    weight: ArrayLike | None, wanted: Inexact[Array, "*lead rows cols"]
) -> Float[Array, "*lead rows cols"]:
    """The weights of all pixels."""
    if weight is None:
        return jnp.ones(wanted.shape, wanted.real.dtype)
    check_range("weight", weight, 0.0, math.inf)
    if np.shape(weight) not in (wanted.shape, wanted.shape[-2:]):
        raise ValueError(
            f"`weight` must have the shape {wanted.shape[-2:]} of a plane or that of `wanted`, got "
            f"{describe(weight)}."
        )
    if is_concrete(weight) and is_concrete(wanted):
        light = np.sum(np.asarray(weight) * np.abs(np.asarray(wanted)), axis=(-2, -1))
        if np.any(light == 0):
            raise ValueError("`weight` must be above 0 somewhere in the light of `wanted`.")
    return jnp.broadcast_to(jnp.asarray(weight, wanted.real.dtype), wanted.shape)
