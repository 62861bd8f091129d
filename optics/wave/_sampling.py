"""Whether a grid is fine and wide enough for a propagation, and what grid would do."""

import sys
import warnings
from typing import Any

import jax
import numpy as np

from optics._check import check_positive, check_whole, is_concrete

# A 2f system lives exactly at the critical distance; numbers rounded to single precision must not tip it over.
SLACK = 1 + 1e-5

# Share of the power beyond the sampled band from which an answer counts as wrong: 1e-4 of the amplitude.
STRAY = 1e-8


# Frames of these packages (the type checkers wrap functions in their own) are not where a propagator was called.
_INSIDE = {"optics", "jaxtyping", "beartype"}


class SamplingWarning(UserWarning):
    """A propagator was asked for more than its grid can hold; the message says what grid or propagator would do."""


def critical_distance(shape: Any, dx: Any, wavelength: Any) -> Any:
    """The distance at which transfer function and impulse response are both sampled exactly at their limit.

        z_c = n dx² / λ,   n the smaller number of samples; an axis of one sample does not count

    Up to it use `angular_spectrum` or `fresnel`, from it on `fresnel_impulse_response`.

    Arguments:
        shape: samples (rows, columns).
        dx: sample spacing, m, scalar.
        wavelength: m, scalar.

    Returns:
        distance, m, scalar; infinite for one sample.

    Raises:
        ValueError: `dx` or `wavelength` not positive, or `shape` not two whole numbers of at least 1.

    Source: D. G. Voelz, Computational Fourier Optics (2011), section 5.3.
    """
    rows, cols = samples("shape", shape)
    check_positive("dx", dx, "m")
    check_positive("wavelength", wavelength, "m")
    return min((float(n) for n in (rows, cols) if n > 1), default=np.inf) * dx**2 / wavelength


def samples(name: str, shape: Any) -> tuple[int, int]:
    """`shape` as the pair (rows, columns), refused by `name` if it is not one."""
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise ValueError(f"`{name}` must be a pair (rows, columns), got {shape!r}.")
    for value in shape:
        check_whole(name, value, 1)
    return int(shape[0]), int(shape[1])


def numbers(*values: Any) -> tuple[float, ...] | None:
    """The values as Python numbers, or None where one of them is traced or not a scalar."""
    if not all(is_concrete(v) and np.ndim(v) == 0 for v in values):
        return None
    return tuple(float(v) for v in values)


def tell(message: str) -> None:
    """Warn from the line outside the package that called the propagator, so that each such line is told once."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, SamplingWarning, stacklevel=level)


def transfer_sampled(spectrum: jax.Array, dx: Any, wavelength: Any, z: Any, instead: str) -> None:
    """Warn where light lies in a band whose transfer function is undersampled.

    The phase of the transfer function turns by more than π from one frequency to the next where |f| > n dx / (2 λ |z|).
    Light there travels more than half the plane and returns from its other side. A narrower field is carried rightly,
    so the field decides; with a traced one nothing can be said.
    """
    known = numbers(dx, wavelength, z)
    if known is None or not is_concrete(spectrum):
        return
    dx, wavelength, z = known
    shape = spectrum.shape[-2:]
    critical = critical_distance(shape, dx, wavelength)
    if abs(z) <= critical * SLACK:
        return
    power = np.sum(np.abs(np.asarray(spectrum, np.complex128)) ** 2, axis=tuple(range(spectrum.ndim - 2)))
    outside = np.zeros(shape, bool)
    limits = [n * dx / (2 * wavelength * abs(z)) for n in shape]
    for axis, (n, limit) in enumerate(zip(shape, limits, strict=True)):
        if n > 1:
            outside |= np.expand_dims(np.abs(np.fft.fftfreq(n, dx)) > limit * SLACK, 1 - axis)
    share = power[outside].sum() / max(power.sum(), np.finfo(float).tiny)
    if share <= STRAY:
        return
    needed = int(np.ceil(wavelength * abs(z) / dx**2 / SLACK))
    limit = min(limit for n, limit in zip(shape, limits, strict=True) if n > 1)
    tell(
        f"`z` of {z:g} m is beyond the critical distance n dx² / λ = {critical:g} m of {shape[0]}×{shape[1]} samples, and {share:.1e} of the "
        f"power lies above {limit:g} cycles/m, from where it travels more than half the plane and returns from the other side; "
        f"pad `u` to {needed} samples a side at this `dx`, or use {instead}."
    )
