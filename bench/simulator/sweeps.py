"""Error against one number of the device at a time; every sweep is one compilation."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

import optics
from bench import output as results
from optics.effects import BalancedShot, PhaseQuantize, Quantize, Shot

# Noll's index of what is swept.
ZERNIKES = {"defocus": 4, "astigmatism": 6, "coma": 8, "spherical aberration": 11}


def sweeps(
    name: str, device: Any, exact: Callable, x: jax.Array, w: jax.Array, keys: jax.Array, quick: bool
) -> results.Rows:
    """Relative RMS error of one convolution in one shot, a common factor set, against each number that the device has.

    Photons of a full-scale pixel, bits of the converters on the modulator and on the camera, aberrations of the lens (waves
    of unit RMS over the pupil, gains left as they are), shift of the detector (pixels), and the
    number of taps of the kernel.

    Arguments:
        name: of the preset, whose lens is compiled again for every aberration.
        device: with its effects.
        exact: (x, w) -> the exact convolution in double precision.
        x, w: arrays to convolve.
        keys: of the shots, over which the mean square is taken.
        quick: fewer values, and lenses left out, which take seconds each.
    """
    cases = [*_numbers(device, quick), *([] if quick else _lenses(name, device))]
    rows = []
    wanted = jnp.asarray(exact(x, w))
    for what, unit, values, change in tqdm(cases, desc="sweeps", unit=" sweeps", leave=False):
        errors = swept(
            lambda value, key, change=change: _relative(optics.convolve(x, w, change(value), key), wanted),
            values,
            keys,
        )
        rows += [_row(what, unit, value, error) for value, error in zip(values, errors, strict=True)]
    return rows + _taps(device, exact, x, w, keys, quick)


def swept(error: Callable, values: np.ndarray, keys: jax.Array) -> np.ndarray:
    """Root of the mean square over keys of error(value, key), for every value, in one compilation and one shot at a time."""
    program = jax.jit(
        lambda values, keys: jax.lax.map(lambda v: jax.lax.map(lambda key: error(v, key), keys), values)
    )
    return np.sqrt(np.mean(np.asarray(program(jnp.asarray(values, jnp.float32), keys)) ** 2, axis=1))


def _numbers(device: Any, quick: bool) -> list[tuple[str, str, np.ndarray, Callable]]:
    """Sweeps of numbers of the effects: (name, unit, values, value -> device)."""
    cameras = [name for name in ("camera", "detector") if hasattr(device, name)]
    bits = np.array([4.0, 8.0] if quick else [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0])
    cases = []
    for what, unit, values, stages, kinds, leaf in (
        (
            "photons",
            "of a full-scale pixel in a frame",
            np.logspace(2, 9, 8 if quick else 15),
            cameras,
            Shot | BalancedShot,
            "photons",
        ),
        ("DAC bits", "bits", bits, ["slm"], Quantize | PhaseQuantize, "bits"),
        ("ADC bits", "bits", bits, cameras, Quantize, "bits"),
    ):
        # A device with two cameras has the same parts in both.
        found = [
            (stage, i)
            for stage in stages
            for i, effect in enumerate(getattr(device, stage))
            if isinstance(effect, kinds)
        ]
        if found:

            def change(v, found=found, leaf=leaf):
                return eqx.tree_at(
                    lambda d: [getattr(getattr(d, stage)[i], leaf) for stage, i in found],
                    device,
                    [v] * len(found),
                )

            cases.append((what, unit, values, change))
    return cases


def _lenses(name: str, device: Any) -> list[tuple[str, str, np.ndarray, Callable]]:
    """Sweeps of the lens: compiled again, in the same program, for every value; gains stay those of the good lens."""
    if not isinstance(device.transfer, optics.Dense):
        return []
    lens = getattr(results.load(name, level="wave"), "optics", None)
    if not isinstance(lens, optics.FourierLens):
        return []
    # Compiling once takes as long as propagating one plane a pixel.
    small = max(lens.shape) <= 11 or min(lens.shape) == 1
    count = 7 if small else 5

    def aberrated(index):
        def change(v):
            aberrations = (
                jnp.zeros(max(index, lens.aberrations.size)).at[: lens.aberrations.size].set(lens.aberrations)
            )
            return _with_lens(
                device, eqx.tree_at(lambda s: s.aberrations, lens, aberrations.at[index - 1].add(v))
            )

        return change

    def shifted(v):
        # A tilt of the light moves the picture on the detector by the focal length times the angle.
        way = jnp.asarray([0.0, 1.0]) if lens.shape[0] == 1 else jnp.ones(2) / np.sqrt(2)
        return _with_lens(
            device, eqx.tree_at(lambda s: s.tilt, lens, lens.tilt + v * lens.pitch / lens.focal_length * way)
        )

    some = ZERNIKES if small and min(lens.shape) > 1 else {"coma": 8}
    cases = [
        (f"{what}", "waves rms", np.linspace(0, 0.3, count), aberrated(index)) for what, index in some.items()
    ]
    return [*cases, ("shift of the detector", "pixels", np.linspace(0, 0.5, count), shifted)]


def _with_lens(device: Any, lens: Any) -> Any:
    return eqx.tree_at(lambda d: d.transfer, device, optics.compile_transfer(lens))


def _taps(
    device: Any, exact: Callable, x: jax.Array, w: jax.Array, keys: jax.Array, quick: bool
) -> results.Rows:
    """Error against the side of the kernel: taps beyond it, around the origin, are zero."""
    sides = [n for n in (1, 3, 5, 7, 9, 11, 13, 21) if n < max(device.shape)]
    sides = np.array([*sides[:: 3 if quick else 1], max(device.shape)], float)
    away = [jnp.minimum(jnp.arange(n), n - jnp.arange(n)) for n in device.shape]

    def kernel(side):
        return w * ((2 * away[0][:, None] <= side) & (2 * away[1] <= side))

    wanted = jnp.asarray(np.stack([exact(x, np.asarray(kernel(side))) for side in sides]))

    def error(i, key):
        side = jnp.asarray(sides, jnp.float32)[i.astype(int)]
        return _relative(optics.convolve(x, kernel(side), device, key), wanted[i.astype(int)])

    errors = swept(error, np.arange(len(sides)), keys)
    return [_row("kernel", "taps a side", side, one) for side, one in zip(sides, errors, strict=True)]


def _relative(found: jax.Array, wanted: jax.Array) -> jax.Array:
    """Relative RMS error after the common factor that suits best, which any bench sets first; 1 where nothing is right."""
    found = found * (jnp.vdot(found, wanted) / jnp.vdot(found, found)).real
    return jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted)


def _row(what: str, unit: str, value: float, error: float) -> dict[str, Any]:
    return {"sweep": what, "unit": unit, "value": float(value), "relative_rms_error": float(error)}
