"""The device against the exact transform and convolution, which are computed in double precision."""

from dataclasses import asdict
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from tqdm.auto import tqdm

import optics
from bench import results
from bench.budget import budget, only
from bench.config import Fidelity
from optics.effects import BalancedShot, Shot


def main(options: Fidelity) -> results.Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    results.prepare(options.out)
    inputs, repeats = (16, 4) if options.quick else (256, 32)
    keys = jax.random.split(jax.random.key(options.seed), 3)
    x = jax.random.normal(keys[0], (inputs, *device.shape))
    w = jax.random.uniform(keys[1], (inputs, *device.shape), minval=-1)
    shots = jax.random.split(keys[2], repeats)
    rows = []
    for name, run, exact in (
        ("transform", lambda d, key: optics.transform(x, d, key), scipy.fft.fft2(double(x), norm="ortho")),
        (
            "convolution",
            lambda d, key: optics.convolve(x, w, d, key),
            scipy.fft.ifft2(scipy.fft.fft2(double(x)) * scipy.fft.fft2(double(w))).real,
        ),
    ):
        if not hasattr(device, name if name == "transform" else "convolve"):
            continue
        bare = without_effects(device)
        call = eqx.filter_jit(run)
        noisy = [np.asarray(call(device, key)) for key in tqdm(shots, desc=name, unit=" shots", leave=False)]
        mean = np.mean(noisy, axis=0)
        for what, error in (
            ("optics alone", np.asarray(call(bare, None)) - exact),
            ("with converters", np.asarray(call(device, None)) - exact),
            ("one shot", np.stack(noisy) - exact),
        ):
            rows.append({"device": options.device, "operation": name, "condition": what, **figures(error, exact)})
        # The mean over the shots still holds 1/repeats of their variance.
        random = np.sqrt(np.mean(np.var(noisy, axis=0, ddof=1))) / rms(exact)
        systematic = np.sqrt(max((rms(mean - exact) / rms(exact)) ** 2 - random**2 / repeats, 0.0))
        rows[-1] |= {"systematic": float(systematic), "random": float(random)}
    few = shots[: max(1, repeats // 4)]
    sweep = photon_sweep(options.device, device, x, w, few)
    # `exact` and `call` are those of the convolution, the last of the two.
    costs = [{"device": options.device, "operation": "convolution", **row} for row in budget(call, device, exact, few[:2])]
    print(
        results.table(
            rows,
            {"operation": "", "condition": "", "relative_rms_error": ".3e", "effective_bits": ".2f", "systematic": ".2e", "random": ".2e"},
        )
    )
    print(results.table(costs, {"condition": "", "relative_rms_error": ".3e", "without": ".3e", "explained": ".3e"}))
    results.write(options.out, "fidelity", rows + sweep + costs, asdict(options), picture(options.device, rows, sweep, costs))
    return rows + sweep + costs


def without_effects(device: Any) -> Any:
    """The device with its optics alone, and the gains that suit them."""
    bare = only(device, [])
    return optics.calibrate(bare) if hasattr(bare, "background") else bare


def photon_sweep(name: str, device: Any, x: jax.Array, w: jax.Array, keys: jax.Array) -> results.Rows:
    """Error of one convolution against the photons of a full-scale pixel, in one compilation; none without shot noise."""
    where = next((i for i, effect in enumerate(device.camera) if isinstance(effect, Shot | BalancedShot)), None)
    if where is None:
        return []
    exact = np.fft.ifft2(np.fft.fft2(double(x)) * np.fft.fft2(double(w))).real

    def error(photons, key):
        swept = eqx.tree_at(lambda d: d.camera[where].photons, device, photons)
        return jnp.sqrt(jnp.mean((optics.convolve(x, w, swept, key) - exact) ** 2))

    photons = np.logspace(2, 9, 15)
    swept = jax.jit(lambda photons: jax.lax.map(lambda p: jax.lax.map(lambda key: error(p, key), keys), photons))
    errors = np.sqrt(np.mean(np.asarray(swept(jnp.asarray(photons, jnp.float32))) ** 2, axis=1)) / rms(exact)
    return [
        {
            "device": name,
            "operation": "convolution",
            "condition": "one shot",
            "sweep": "photons",
            "value": float(p),
            "relative_rms_error": float(e),
            "effective_bits": bits(e),
        }
        for p, e in zip(photons, errors, strict=True)
    ]


def figures(error: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Relative RMS error and the bits of a perfect converter that would have it."""
    relative = rms(error) / rms(exact)
    return {"relative_rms_error": relative, "effective_bits": bits(relative)}


def bits(relative: float) -> float:
    """Effective number of bits of a signal with this relative RMS error: (SNR in dB − 1.76) / 6.02 (IEEE 1241)."""
    return float((-20 * np.log10(relative) - 1.76) / 6.02)


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def double(values: jax.Array) -> np.ndarray:
    """The same numbers in double precision."""
    return np.asarray(values, np.float64)


def picture(name: str, rows: results.Rows, sweep: results.Rows, costs: results.Rows) -> Figure:
    """Errors by condition and by effect, and against photons where there was a sweep."""
    figure = Figure(figsize=(15 if sweep else 10.5, 3.8), layout="constrained")
    panels = figure.subplots(1, 3 if sweep else 2, squeeze=False)[0]
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    # Bars of one condition stand side by side around its mark.
    for shift, operation in zip(0.4 * np.arange(len(operations)) - 0.2 * (len(operations) - 1), operations, strict=True):
        errors = [row["relative_rms_error"] for row in rows if row["operation"] == operation]
        bars = panels[0].bar(np.arange(len(errors)) + shift, errors, width=0.38, label=operation)
        panels[0].bar_label(bars, [f"{e:.1e}" for e in errors], fontsize=7)
    panels[0].set(yscale="log", ylabel="relative RMS error (1)", xticks=range(len(conditions)), xticklabels=conditions)
    panels[0].margins(y=0.15)
    panels[0].legend(frameon=False)
    # By place, not by name: a chain may hold an effect twice.
    errors = [row["relative_rms_error"] for row in costs]
    bars = panels[1].barh(range(len(costs)), errors, tick_label=[row["condition"] for row in costs])

    panels[1].bar_label(bars, [f"{row['relative_rms_error']:.1e}" for row in costs], fontsize=7, padding=2)
    panels[1].set(xscale="log", xlabel="relative RMS error of one convolution, each effect alone (1)")
    # Never so narrow that equal errors look unlike.
    panels[1].set_xlim(min(errors) / 3, 3 * max(errors))
    # The bars bear their figures; marks between the decades would run into one another.
    panels[1].xaxis.set_minor_formatter(NullFormatter())
    panels[1].invert_yaxis()
    if sweep:
        panels[2].loglog([row["value"] for row in sweep], [row["relative_rms_error"] for row in sweep], marker=".")
        panels[2].set(xlabel="photons of a full-scale pixel in a frame (1)", ylabel="relative RMS error of one convolution (1)")
        panels[2].grid(which="major", alpha=0.3)
    figure.suptitle(f"{name} against the exact FFT")
    return figure
