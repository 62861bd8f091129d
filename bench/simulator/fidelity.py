"""The device against the exact transform and convolution, which are computed in double precision."""

import math
from dataclasses import asdict
from typing import Any

import equinox as eqx
import jax
import numpy as np
import scipy.fft
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from tqdm.auto import tqdm

import optics
from bench import output as results
from bench.config import Fidelity
from bench.simulator.budget import budget, without_effects
from bench.simulator.sweeps import sweeps


def main(options: Fidelity) -> results.Rows:
    """Measure, print, write; returns the rows.

    Raises:
        ValueError: unknown device, or a folder that cannot be written to.
    """
    device = results.load(options.device)
    results.prepare(options.out)
    # A device of many pixels has as many numbers in fewer planes.
    inputs, repeats = (16, 4) if options.quick else (256, 32) if math.prod(device.shape) < 200 else (128, 16)
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
            convolved(x, w),
        ),
    ):
        if not hasattr(device, name if name == "transform" else "convolve"):
            continue
        bare = calibrated(without_effects(device))
        call = eqx.filter_jit(run)
        noisy = [np.asarray(call(device, key)) for key in tqdm(shots, desc=name, unit=" shots", leave=False)]
        mean = np.mean(noisy, axis=0)
        for what, error in (
            ("optics alone", np.asarray(call(bare, None)) - exact),
            ("with converters", np.asarray(call(device, None)) - exact),
            ("one shot", np.stack(noisy) - exact),
        ):
            rows.append(
                {"device": options.device, "operation": name, "condition": what, **figures(error, exact)}
            )
        # The mean over the shots still holds 1/repeats of their variance.
        random = np.sqrt(np.mean(np.var(noisy, axis=0, ddof=1))) / rms(exact)
        systematic = np.sqrt(max((rms(mean - exact) / rms(exact)) ** 2 - random**2 / repeats, 0.0))
        rows[-1] |= {"systematic": float(systematic), "random": float(random)}
    few = shots[: max(1, repeats // 4)]
    about = {"device": options.device, "operation": "convolution", "condition": "one shot"}
    # A quarter of the planes is enough for what is compared with itself.
    part = slice(0, max(8, inputs // 4))
    sweep = [
        about | row
        for row in sweeps(options.device, device, convolved, x[part], w[part], few[:4], options.quick)
    ]
    # `exact` and `run` are those of the convolution, the last of the two.
    costs = [
        {"device": options.device, "operation": "convolution", **row}
        for row in budget(run, device, exact, few[:2])
    ]
    print(
        results.table(
            rows,
            {
                "operation": "",
                "condition": "",
                "relative_rms_error": ".3e",
                "effective_bits": ".2f",
                "bias": ".1e",
                "gain_error": ".1e",
                "systematic": ".2e",
                "random": ".2e",
            },
        )
    )
    print(
        results.table(
            costs, {"condition": "", "relative_rms_error": ".3e", "without": ".3e", "explained": ".3e"}
        )
    )
    results.write(
        options.out,
        "fidelity",
        rows + sweep + costs,
        asdict(options),
        picture(options.device, rows, sweep, costs),
    )
    return rows + sweep + costs


def calibrated(bare: Any) -> Any:
    """A device of optics alone with the gains that suit them."""
    return optics.calibrate(bare) if hasattr(bare, "background") else bare


def figures(error: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Relative RMS error, the bits of a perfect converter that would have it, and what is the same for all numbers.

    The bias is the mean of the errors over the RMS of the exact result; the gain error is what a common factor misses 1 by.
    """
    relative = rms(error) / rms(exact)
    return {
        "relative_rms_error": relative,
        "effective_bits": optics.metrics.effective_bits(relative),
        "bias": float(np.abs(np.mean(error)) / rms(exact)),
        "gain_error": float(
            np.vdot(exact, error if error.shape == exact.shape else np.mean(error, axis=0)).real
            / np.vdot(exact, exact).real
        ),
    }


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def convolved(x: Any, w: Any) -> np.ndarray:
    """The exact circular convolution of real arrays, in double precision."""
    return scipy.fft.ifft2(scipy.fft.fft2(double(x)) * scipy.fft.fft2(double(w))).real


def double(values: jax.Array) -> np.ndarray:
    """The same numbers in double precision."""
    return np.asarray(values, np.float64)


def picture(name: str, rows: results.Rows, sweep: results.Rows, costs: results.Rows) -> Figure:
    """Errors by condition and by effect, and against every number that was swept."""
    kinds = list(dict.fromkeys((row["sweep"], row["unit"]) for row in sweep))
    optical = [kind for kind in kinds if kind[1] in ("waves rms", "pixels")]
    panels = [[kind] for kind in kinds if kind[1] not in ("waves rms", "pixels", "bits")]
    panels += [
        group
        for group in ([k for k in kinds if k[1] == "bits"], [k for k in optical if k[1] == "waves rms"])
        if group
    ]
    panels += [[kind] for kind in optical if kind[1] == "pixels"]
    columns = max(3, -(-(len(panels) + 2) // 2))
    figure = Figure(figsize=(4.6 * columns, 8), layout="constrained")
    axes = figure.subplots(2, columns).ravel()
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    # Bars of one condition stand side by side around its mark.
    for shift, operation in zip(
        0.4 * np.arange(len(operations)) - 0.2 * (len(operations) - 1), operations, strict=True
    ):
        errors = [row["relative_rms_error"] for row in rows if row["operation"] == operation]
        bars = axes[0].bar(np.arange(len(errors)) + shift, errors, width=0.38, label=operation)
        axes[0].bar_label(bars, [f"{e:.1e}" for e in errors], fontsize=7)
    axes[0].set(
        yscale="log", ylabel="relative RMS error (1)", xticks=range(len(conditions)), xticklabels=conditions
    )
    # Room for the legend above the bars.
    low, high = (pick(row["relative_rms_error"] for row in rows) for pick in (min, max))
    axes[0].set_ylim(low / 2, high * (high / low) ** 0.25 * 2)
    axes[0].legend(frameon=False, loc="upper left", ncols=2, fontsize=8)
    # By place, not by name: a chain may hold an effect twice.
    errors = [row["relative_rms_error"] for row in costs]
    bars = axes[1].barh(range(len(costs)), errors, tick_label=[row["condition"] for row in costs])
    axes[1].bar_label(bars, [f"{row['relative_rms_error']:.1e}" for row in costs], fontsize=7, padding=2)
    axes[1].set(xscale="log", xlabel="error of one convolution, each effect alone (1)")
    # Never so narrow that equal errors look unlike.
    axes[1].set_xlim(min(errors) / 3, 5 * max(errors))
    # The bars bear their figures; marks between the decades would run into one another.
    axes[1].xaxis.set_minor_formatter(NullFormatter())
    axes[1].tick_params(axis="y", labelsize=8)
    axes[1].invert_yaxis()
    for panel, group in zip(axes[2:], panels, strict=False):
        for what, unit in group:
            some = [row for row in sweep if row["sweep"] == what]
            panel.plot(
                [row["value"] for row in some],
                [row["relative_rms_error"] for row in some],
                marker=".",
                label=what,
            )
            panel.set(
                yscale="log",
                xlabel=f"{what if len(group) == 1 else 'all'} ({unit})",
                ylabel="relative RMS error of one convolution (1)",
            )
        if group[0][0] == "photons":
            panel.set(xscale="log", xlabel="photons of a full-scale pixel in a frame (1)")
        if len(group) > 1 or group[0][1] == "bits":
            panel.set_xlabel(
                {"bits": "bits of a converter (1)", "waves rms": "aberration (waves rms over the pupil)"}[
                    group[0][1]
                ]
            )
            panel.legend(frameon=False, fontsize=8)
        panel.grid(which="major", alpha=0.3)
    for unused in axes[2 + len(panels) :]:
        unused.set_axis_off()
    figure.suptitle(f"{name} against the exact FFT")
    return figure
