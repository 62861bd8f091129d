# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Calibrating a twin
#
# **Can the simulator be fitted to my bench, and what does it buy?**
#
# A bench is never the one in the drawing: the lens sits a little beside its place, the phase table of the panel is not a straight
# line, no two pixels are equally bright. What is at hand are frames of the camera, taken while known numbers were shown. The
# simulator gives the mean and the variance of every camera pixel as functions of its numbers $\theta$, so these can be
# found by maximum likelihood,
#
# $$ \text{frames} \sim \text{Normal}\big(\mu(\theta),\ \sigma^2(\theta)\big), \qquad
#    \text{covariance of } \hat\theta = \Big[(\partial\mu/\partial\theta)^{\mathsf T} \sigma^{-2} (\partial\mu/\partial\theta)\Big]^{-1}, $$
#
# and every number comes with its standard error. Here the bench is a simulated one too. The fit sees only its frames, and the
# hidden numbers are there to check it.

# %%
# %matplotlib inline
import os
import tempfile
import textwrap
from pathlib import Path

import equinox as eqx
import imageio.v3
import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.plots._scale import BLUE, GREEN, ORANGE, PURPLE, SKY
from optics import aging, effects
from optics.twin import compiled

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(
    os.environ.get("LENSFORMER_FAST")
)  # fewer pixels and a lens that is where it belongs, for a quick look

# %% [markdown]
# ## A bench as it is believed to be, and as it is
#
# A panel that sets phase and amplitude, with its addressing in 10 bits, its phase table, and the brightness of each pixel; a lens
# with Zernike aberrations; a camera of 12 bits with a stepped reference (four frames for each set of numbers).

# %%
N = 4 if FAST else 8
NODES = 5 if FAST else 17  # of the phase table
ZERNIKES = 10
COUNT = 30 if FAST else 50  # sets of numbers, four frames each
TURN = 2 * np.pi


def bench_with(defocus=0.0, aberrations=(0.0,) * ZERNIKES, decentre=(0.0, 0.0), table=None, gain=None):
    """A bench with these numbers; by default those of the drawing."""
    lens = optics.FourierLens(
        N,
        pitch=127e-6,
        wavelength=1.55e-6,
        fill=0.5,
        detector_fill=0.5,
        oversampling=3,
        plane=42 if FAST else 84,
        pupil_radius=1.45 * N * 127e-6,
        aberrations=aberrations,
        defocus=defocus,
        decentre=decentre,
    )
    slm = (
        effects.PhaseQuantize(10),
        effects.PhaseLUT(jnp.linspace(0, TURN, NODES) if table is None else table),
        effects.Gain(jnp.ones((N, N)) if gain is None else gain),
    )
    camera = (effects.Shot(3e4), effects.Read(1e-3), effects.Quantize(12))
    return optics.FourierProcessor(lens, optics.PhaseShifting(4), slm, camera)


rng = np.random.default_rng(0)
drive = np.linspace(0, 1, NODES)
believed = bench_with()
lens_errors = (
    {}
    if FAST
    else {
        "defocus": 4e-3,
        "aberrations": [0, 0, 0, 0, 0.04, -0.05, 0.03, 0.04, -0.03, 0.05],
        "decentre": (6e-6, -9e-6),
    }
)
bench = bench_with(
    **lens_errors,
    table=TURN * (1.05 * drive + 0.03 * np.sin(TURN * drive)),
    gain=1 + 0.1 * rng.standard_normal((N, N)),
)
# As it is: it is measured many times below, so its optics is compiled once.
real = compiled(bench)
plots.show(believed.transfer)

# %% [markdown]
# ## Frames, as an owner has them
#
# Random numbers are shown with the settings of the device as it is believed to be, and the camera's frames are saved as PNG
# pictures of 12 bits in 16. From here on only the numbers shown and this folder are used.

# %%
numbers = jnp.asarray(rng.standard_normal((COUNT, N, N)) + 1j * rng.standard_normal((COUNT, N, N)))
settings = eqx.filter_jit(lambda device, a: device.shown(a)[:2])
drives, full_scale = settings(compiled(believed), numbers)
photograph = eqx.filter_jit(lambda device, drives, full_scale, key: device.frames(drives, full_scale, key))
taken = np.asarray(photograph(real, drives, full_scale, jax.random.key(2))).reshape(-1, N, N)

folder = tempfile.TemporaryDirectory()
for i, frame in enumerate(np.round(taken * 4095).astype(np.uint16)):
    imageio.v3.imwrite(Path(folder.name) / f"frame_{i:04d}.png", frame)

frames = optics.records.read_frames(folder.name, bits=12)
folder.cleanup()
recording = optics.Recording(drives, full_scale, frames, shots=4)
plots.camera.frames(frames[:4], title="the four frames of the first numbers")

# %% [markdown]
# ## A folder that is refused
#
# A camera that is mounted turned by 90° gives frames that look just as good. Before anything is fitted, the frames are compared
# with what the device as believed predicts.


# %%
def free_numbers(device):
    """What is fitted: the lens, the phase table, and the brightness of every pixel."""
    lens = () if FAST else (device.transfer.defocus, device.transfer.aberrations, device.transfer.decentre)
    return *lens, device.slm[1].table, device.slm[2].gain


# Held: piston, tilts and defocus among the aberrations (the first four); phases count from drive 0.
FREE = (*(() if FAST else (True, np.arange(ZERNIKES) > 3, True)), np.arange(NODES) > 0, True)

turned = optics.Recording(drives, full_scale, np.rot90(frames, axes=(-2, -1)), shots=4)
try:
    optics.fit_twin(believed, turned, free_numbers, FREE)
except ValueError as error:
    refusal = str(error)
print(textwrap.fill(refusal, 110))

# %% [markdown]
# ## The fit

# %%
fit = optics.fit_twin(believed, recording, free_numbers, FREE)


def vector(device):
    """The numbers of a device that were free, in the order of `fit.names`."""
    keep = jax.tree.map(
        lambda leaf, free: np.broadcast_to(free, leaf.shape).ravel(), free_numbers(device), FREE
    )
    return np.concatenate(
        [np.ravel(leaf)[mask] for leaf, mask in zip(free_numbers(device), keep, strict=True)]
    )


hidden, start = vector(bench), vector(believed)
off = (fit.numbers - hidden) / fit.deviations
UNITS = {
    "defocus": ("mm", 1e3),
    "decentre": ("µm", 1e6),
    "aberrations": ("waves", 1.0),
    "table": ("rad", 1.0),
    "gain": ("1", 1.0),
}
print(f"{recording.count} frames, {len(fit.names)} numbers fitted; the first nine of them:")
print(f"{'number':22} {'believed':>9} {'hidden':>9} {'recovered':>19} {'off by':>9}   unit")
for i in range(9):
    unit, scale = next(found for name, found in UNITS.items() if name in fit.names[i])
    value = f"{fit.numbers[i] * scale:.4f} ± {fit.deviations[i] * scale:.4f}"
    print(
        f"{fit.names[i]:22} {start[i] * scale:9.4f} {hidden[i] * scale:9.4f} {value:>19} {off[i]:+7.2f} σ   {unit}"
    )
print(
    f"\nχ² / degrees of freedom = {fit.chi2 / fit.freedom:.3f}, expected 1 ± {np.sqrt(2 / fit.freedom):.3f}"
)

# %%
groups = {
    "lens": (np.array([name.startswith("optics") for name in fit.names]), BLUE),
    "phase table": (np.array([name.startswith("slm[1]") for name in fit.names]), ORANGE),
    "brightness": (np.array([name.startswith("slm[2]") for name in fit.names]), GREEN),
}
figure = Figure(figsize=(11, 7), layout="constrained")
(first, second), (third, fourth) = figure.subplots(2, 2)
of_lens = np.array(["aberrations" in name for name in fit.names])
terms = np.flatnonzero(bench.transfer.aberrations) + 1
first.bar(terms - 0.2, hidden[of_lens], width=0.36, color=SKY, label="hidden")
first.bar(
    terms + 0.2,
    fit.numbers[of_lens],
    width=0.36,
    color=BLUE,
    yerr=3 * fit.deviations[of_lens],
    capsize=4,
    label="recovered ± 3 σ",
)
first.axhline(0, color="0.4", linewidth=0.8)
first.set(xlabel="Zernike term (Noll order)", ylabel="aberration (waves)", xticks=terms)
table, spread = fit.values[-2], fit.errors[-2]
second.plot(drive, np.asarray(bench.slm[1].table) - TURN * drive, color=SKY, linewidth=5, label="hidden")
second.errorbar(
    drive,
    table - TURN * drive,
    3 * np.asarray(spread),
    fmt="o",
    color=ORANGE,
    capsize=3,
    markersize=4,
    label="recovered ± 3 σ",
)
second.axhline(0, color="0.4", linewidth=0.8, linestyle="--", label="believed")
second.set(xlabel="drive (of a whole turn)", ylabel="phase given − phase asked for (rad)")
gains = groups["brightness"][0]
third.plot([0.7, 1.3], [0.7, 1.3], color="0.6", linewidth=0.8)
third.errorbar(
    hidden[gains],
    fit.numbers[gains],
    3 * fit.deviations[gains],
    fmt="o",
    color=GREEN,
    markersize=3,
    capsize=2,
    label="recovered ± 3 σ",
)
third.set(xlabel="amplitude of a pixel, hidden (1)", ylabel="amplitude recovered (1)")
fourth.axhspan(-2, 2, color="0.93")
fourth.axhspan(-1, 1, color="0.85")
for name, (mask, colour) in groups.items():
    fourth.errorbar(
        np.flatnonzero(mask), off[mask], 1, fmt="o", color=colour, markersize=4, elinewidth=0.7, label=name
    )
fourth.set(
    xlabel="number fitted (its place in the list)",
    ylabel="(recovered − hidden) / standard error (1)",
    ylim=(-5.5, 5.5),
)
for axes in (first, second, third, fourth):
    axes.legend(frameon=False, fontsize=8, loc="best", ncols=3 if axes is fourth else 1)
figure

# %% [markdown]
# ## What frames cannot tell
#
# Some numbers do the same to all frames. With piston, tilts and defocus as aberrations free as well, and the whole phase table,
# the fit says so itself: a phase that all entries of the table share is the piston of the lens, so neither is determined, and
# their standard errors are infinite. A tilt is all but a lens that sits beside the axis: determined, but badly. That is what
# `free` is for.

# %%
everything = fit if FAST else optics.fit_twin(fit.device, recording, lambda d: free_numbers(d)[:-1])
wide = dict(zip(everything.names, everything.deviations, strict=True))
print(
    f"χ² / degrees of freedom = {everything.chi2 / everything.freedom:.3f} (before {fit.chi2 / fit.freedom:.3f})"
)
unknown = ", ".join(everything.undetermined) or "none"
print(textwrap.fill(f"not determined: {unknown}", 110, subsequent_indent=" " * 16))

figure = Figure(figsize=(11, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
short = [name.removeprefix("optics.") for name in fit.names[:9]]
shown = left.imshow(fit.correlation[:9, :9], cmap=plots.scale.SIGNED, vmin=-1, vmax=1)
left.set_xticks(range(9), short, rotation=60, ha="right", fontsize=8)
left.set_yticks(range(9), short, fontsize=8)
left.set_title("correlations, tilts held", fontsize=10)
figure.colorbar(shown, ax=left, label="correlation (1)")
wider = np.array([wide[name] for name in fit.names[:9]]) / fit.deviations[:9]
right.bar_label(right.barh(range(9), wider, color=PURPLE), fmt="%.2g", padding=3, fontsize=8)
right.set_yticks(range(9), short, fontsize=8)
right.invert_yaxis()
right.margins(x=0.12)
right.axvline(1, color="0.4", linewidth=0.8)
right.set(xlabel="standard error, all aberrations free / as fitted above (1)")
figure

# %% [markdown]
# ## What it buys: convolutions
#
# The bench is driven as its twin is to be driven: phases through the inverse of the twin's table, and a matrix in front that
# undoes the twin's optics. One that fits only the brightness of the pixels shows what a simpler model
# would buy, and the hidden bench itself, used as its own twin, what no fit could beat.

# %%
simple = optics.fit_twin(believed, recording, lambda d: d.slm[2].gain)
print(
    f"brightness alone fitted: χ² / degrees of freedom = {simple.chi2 / simple.freedom:.0f}: this model cannot be the bench"
)
twins = {
    "as believed": believed,
    "twin: brightness alone": simple.device,
    "twin: all that was fitted": fit.device,
    "the hidden bench itself": real,
}
driven = {name: optics.compensate(real, twin) for name, twin in twins.items()}
x, kernel = jnp.asarray(rng.standard_normal((2, 8, N, N)))
exact = optics.convolve(x, kernel)


@eqx.filter_jit
def convolution_error(device, key):
    """Relative rms error of the convolutions."""
    return jnp.linalg.norm(optics.convolve(x, kernel, device, key) - exact) / jnp.linalg.norm(exact)


def without_noise(device):
    """The same with as much light as could be wished for, and a finer converter."""
    return eqx.tree_at(
        lambda d: (d.camera[0].photons, d.camera[1].sigma, d.camera[2].bits),
        device,
        tuple(map(jnp.asarray, (1e18, 0.0, 16))),
    )


noise = jax.random.key(4)
mean = {name: float(convolution_error(without_noise(device), noise)) for name, device in driven.items()}
shot = {name: float(convolution_error(device, noise)) for name, device in driven.items()}
figure = Figure(figsize=(9, 3.2), layout="constrained")
axes = figure.subplots()
for place, values, colour, label in (
    (-0.19, mean, ORANGE, "without noise"),
    (0.19, shot, SKY, "one shot, with the camera's noise"),
):
    bars = axes.barh(
        np.arange(len(values)) + place,
        [100 * v for v in values.values()],
        height=0.36,
        color=colour,
        label=label,
    )
    axes.bar_label(bars, [f"{v:.2%}" for v in values.values()], padding=3, fontsize=8)
axes.set_yticks(range(len(driven)), list(driven))
axes.invert_yaxis()
axes.set(xlabel="relative rms error of a convolution (%)", xscale="log")
axes.margins(x=0.2)
axes.legend(frameon=False, fontsize=8, loc="lower right")
figure

# %% [markdown]
# ## It does not last: drift
#
# Phases wander and light fades. `Drift` follows the history of one unit, here a random walk of every pixel,
# $\operatorname{Var}\varphi = D\,t$, and `aging.error_over_time` gives the error of convolutions when the device is calibrated
# again on a schedule.

# %%
HOUR = 3600.0
DIFFUSION = 2e-5  # rad²/s
history = effects.draw_drift(jax.random.key(5), (N, N), DIFFUSION, HOUR)
fresh = optics.FourierProcessor(
    optics.dft(N),
    optics.PhaseShifting(4),
    (effects.Drift(history, HOUR, fading=-2e-5),),
    (effects.Shot(3e4), effects.Read(1e-3), effects.Quantize(12)),
)
MINUTES = (15,) if FAST else (2, 5, 10, 20, 30)
USUAL = MINUTES[len(MINUTES) // 2]
times = np.arange(0.0, HOUR + 1, 60.0)
never = np.asarray(aging.error_over_time(fresh, times, np.inf, "complex", noise))
kept = {
    minutes: np.asarray(aging.error_over_time(fresh, times, 60.0 * minutes, "complex", noise))
    for minutes in MINUTES
}
floor = float(never[0])


def rms(errors):
    """Over the hour."""
    return float(np.sqrt(np.mean(errors**2)))


# %% [markdown]
# The schedule calibrates with one pixel after another and without noise. A bench has frames: after half an hour,
# `calibrate(device, frames=..., where=...)` fits a complex gain for each pixel to a few of them and sets what undoes it.

# %%
MOMENT = HOUR / 2
plain = eqx.tree_at(lambda d: d.slm, fresh, (effects.Gain(jnp.ones((N, N), complex)),))
drifted = aging.aged(fresh, MOMENT)
sets = 10 if FAST else 20
drives, full_scale = settings(plain, numbers[:sets])
later = optics.Recording(drives, full_scale, photograph(drifted, drives, full_scale, jax.random.key(7)), shots=4)
calibrated = optics.calibrate(plain, frames=later, where=lambda d: d.slm[0].gain, compensation="complex")
mended = float(convolution_error(optics.compensate(drifted, calibrated, "complex"), noise))
before = float(never[np.searchsorted(times, MOMENT)])


def draw(minutes=USUAL):
    """The error through the hour, and the mean of each schedule."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    left.plot(times / 60, 100 * never, color="0.5", label="calibrated once")
    left.plot(times / 60, 100 * kept[minutes], color=BLUE, label=f"every {minutes} minutes")
    left.plot(
        MOMENT / 60,
        100 * mended,
        "*",
        color=ORANGE,
        markersize=14,
        label=f"calibrated with {later.count} frames",
    )
    left.axhline(100 * floor, color=GREEN, linestyle="--", linewidth=1, label="noise of the camera")
    left.set(xlabel="time (min)", ylabel="relative rms error of a convolution (%)", ylim=(0, None))
    right.plot(MINUTES, [100 * rms(kept[m]) for m in MINUTES], "o-", color=BLUE)
    right.plot(minutes, 100 * rms(kept[minutes]), "o", markersize=13, fillstyle="none", color="black")
    right.axhline(100 * rms(never), color="0.5", label="calibrated once")
    right.axhline(100 * floor, color=GREEN, linestyle="--", linewidth=1, label="noise of the camera")
    right.set(
        xlabel="between calibrations (min)",
        ylabel="rms error over the hour (%)",
        ylim=(0, None),
        xlim=(0, None),
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure


draw()

# %% [markdown]
# ## A knob: how often?

# %%
_ = ipywidgets.interact(
    draw,
    minutes=ipywidgets.SelectionSlider(
        options=MINUTES, value=USUAL, description="minutes", continuous_update=False
    ),
)

# %% [markdown]
# ## What was learnt

# %%
worst, spread, best = np.max(np.abs(off)), np.sqrt(np.mean(off**2)), "twin: all that was fitted"
per_freedom = {
    name: one.chi2 / one.freedom
    for name, one in (("fit", fit), ("everything", everything), ("simple", simple))
}
schedules = ", ".join(f"{rms(errors):.1%} every {minutes} min" for minutes, errors in kept.items())
learnt = (
    f"{recording.count} frames give {len(fit.names)} hidden numbers, all within {worst:.1f} standard errors, {spread:.2f} in the root of the mean "
    f"square; χ² per degree of freedom is {per_freedom['fit']:.3f}. The error bars can be believed.",
    f"With all aberrations and the whole table free, {len(everything.undetermined)} numbers are not determined and others are known up to "
    f"{wider.max():.0f} times worse, while χ² per degree of freedom is {per_freedom['everything']:.3f}: the error bars tell it, χ² does not.",
    f"Driven as believed, a convolution is off by {mean['as believed']:.1%}; driven by its twin by {mean[best]:.2%}, "
    f"{mean['as believed'] / mean[best]:.0f} times less. In one shot it is {shot[best]:.1%}, and with the hidden bench for a twin "
    f"{shot['the hidden bench itself']:.1%}: noise is what is left.",
    f"A model with brightness alone leaves {mean['twin: brightness alone']:.1%}. Its χ² per degree of freedom, {per_freedom['simple']:.0f}, "
    "gives it away before anything is corrected by it.",
    f"In an hour of drift the error grows from {floor:.1%} to {never[-1]:.1%}. Over the hour it is {rms(never):.1%} calibrated once, {schedules}.",
    f"After half an hour {later.count} frames and a fit take it from {before:.1%} to {mended:.1%}.",
)
for i, line in enumerate(learnt, 1):
    print(textwrap.fill(f"{i}. {line}", 118, subsequent_indent="   "))
