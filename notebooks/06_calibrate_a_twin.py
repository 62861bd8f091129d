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
# **Can the simulator be fitted to my hardware, and what does that gain?**
#
# Hardware differs from its drawing: the lens sits a little beside its place, the phase table of the panel is not a straight
# line, no two pixels are equally bright. An experimenter has frames of the camera, recorded for known inputs. The simulator
# gives the mean and the variance of every camera pixel as functions of its parameters $\theta$, so maximum likelihood finds
# them,
#
# $$ \text{frames} \sim \text{Normal}\big(\mu(\theta),\ \sigma^2(\theta)\big), \qquad
#    \text{covariance of } \hat\theta = \Big[(\partial\mu/\partial\theta)^{\mathsf T} \sigma^{-2} (\partial\mu/\partial\theta)\Big]^{-1}, $$
#
# and every parameter comes with its standard error. Here the hardware is simulated too. The fit uses its frames alone; the
# hidden parameters serve to check the result.

# %%
# Colab lacks the package: there this cell installs it, and anywhere else it does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("optics") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "lensformer[lab]"], check=True)

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
from bench.plots import BLUE, GREEN, ORANGE, PURPLE, SKY
from optics import aging, effects

matplotlib.rcParams["figure.dpi"] = 80
# Fewer pixels and a lens in its place, a shortened version.
FAST = bool(os.environ.get("LENSFORMER_FAST"))

# %% [markdown]
# ## The assumed hardware, and the real one
#
# A panel that sets phase and amplitude, with 10-bit addressing, a phase table, and the brightness of each pixel; a lens with
# Zernike aberrations; a 12-bit camera with a stepped reference (four frames for each set of numbers).

# %%
N = 4 if FAST else 8
NODES = 5 if FAST else 17  # of the phase table
ZERNIKES = 10
COUNT = 30 if FAST else 50  # sets of numbers, four frames each
TURN = 2 * np.pi


def hardware_with(defocus=0.0, aberrations=(0.0,) * ZERNIKES, decentre=(0.0, 0.0), table=None, gain=None):
    """Hardware with these parameters; by default those of the drawing."""
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
assumed = hardware_with()
lens_errors = (
    {}
    if FAST
    else {
        "defocus": 4e-3,
        "aberrations": [0, 0, 0, 0, 0.04, -0.05, 0.03, 0.04, -0.03, 0.05],
        "decentre": (6e-6, -9e-6),
    }
)
hidden_hardware = hardware_with(
    **lens_errors,
    table=TURN * (1.05 * drive + 0.03 * np.sin(TURN * drive)),
    gain=1 + 0.1 * rng.standard_normal((N, N)),
)
# The hardware is measured many times below, so its optics is compiled once.
hardware = optics.compile_device(hidden_hardware)
plots.show(assumed.transfer)

# %% [markdown]
# ## Recording frames
#
# The assumed device prepares the exposures of random numbers, and the frames of the hardware's camera are saved as PNG
# images of 12 bits in 16. From here on the fit uses these numbers and this folder alone.

# %%
numbers = jnp.asarray(rng.standard_normal((COUNT, N, N)) + 1j * rng.standard_normal((COUNT, N, N)))
prepare = eqx.filter_jit(lambda device, a: device.prepare(a))
exposure = prepare(optics.compile_device(assumed), numbers)
expose = eqx.filter_jit(lambda device, exposure, key: device.expose(exposure, key))
photographs = np.asarray(expose(hardware, exposure, jax.random.key(2))).reshape(-1, N, N)

folder = tempfile.TemporaryDirectory()
for i, frame in enumerate(np.round(photographs * 4095).astype(np.uint16)):
    imageio.v3.imwrite(Path(folder.name) / f"frame_{i:04d}.png", frame)

frames = optics.records.read_frames(folder.name, bits=12)
folder.cleanup()
recording = optics.Recording(exposure.drive, exposure.full_scale, frames, frames_per_exposure=4)
plots.frames(frames[:4], title="the four frames of the first numbers")

# %% [markdown]
# ## A recording that is refused
#
# A camera that is mounted at 90° gives frames that look equally good. Before the fit, the frames are compared with the
# prediction of the assumed device.


# %%
def free_numbers(device):
    """The fitted parameters: the lens, the phase table, and the brightness of every pixel."""
    lens = () if FAST else (device.transfer.defocus, device.transfer.aberrations, device.transfer.decentre)
    return *lens, device.slm[1].table, device.slm[2].gain


# Fixed: piston, tilts and defocus among the aberrations (the first four); phases count from drive 0.
FREE = (*(() if FAST else (True, np.arange(ZERNIKES) > 3, True)), np.arange(NODES) > 0, True)

rotated = optics.Recording(
    exposure.drive, exposure.full_scale, np.rot90(frames, axes=(-2, -1)), frames_per_exposure=4
)
try:
    optics.fit_twin(assumed, rotated, free_numbers, FREE)
except ValueError as error:
    refusal = str(error)
print(textwrap.fill(refusal, 110))

# %% [markdown]
# ## The fit

# %%
fit = optics.fit_twin(assumed, recording, free_numbers, FREE)


def vector(device):
    """The free parameters of a device, in the order of `fit.names`."""
    keep = jax.tree.map(
        lambda leaf, free: np.broadcast_to(free, leaf.shape).ravel(), free_numbers(device), FREE
    )
    return np.concatenate(
        [np.ravel(leaf)[mask] for leaf, mask in zip(free_numbers(device), keep, strict=True)]
    )


hidden, start = vector(hidden_hardware), vector(assumed)
deviation = (fit.numbers - hidden) / fit.deviations
UNITS = {
    "defocus": ("mm", 1e3),
    "decentre": ("µm", 1e6),
    "aberrations": ("waves", 1.0),
    "table": ("rad", 1.0),
    "gain": ("1", 1.0),
}
print(f"{recording.count} frames, {len(fit.names)} fitted parameters; the first nine:")
print(f"{'parameter':24} {'assumed':>9} {'hidden':>9} {'recovered':>19} {'deviation':>9}   unit")
for i in range(9):
    unit, scale = next(unit for name, unit in UNITS.items() if name in fit.names[i])
    value = f"{fit.numbers[i] * scale:.4f} ± {fit.deviations[i] * scale:.4f}"
    print(
        f"{fit.names[i]:24} {start[i] * scale:9.4f} {hidden[i] * scale:9.4f} {value:>19} {deviation[i]:+7.2f} σ   {unit}"
    )
print(
    f"\nχ² / degrees of freedom = {fit.chi2 / fit.freedom:.3f}, expected 1 ± {np.sqrt(2 / fit.freedom):.3f}"
)

# %%
groups = {
    "lens": (np.array([name.startswith("transfer") for name in fit.names]), BLUE),
    "phase table": (np.array([name.startswith("slm[1]") for name in fit.names]), ORANGE),
    "brightness": (np.array([name.startswith("slm[2]") for name in fit.names]), GREEN),
}
figure = Figure(figsize=(11, 7), layout="constrained")
(first, second), (third, fourth) = figure.subplots(2, 2)
of_lens = np.array(["aberrations" in name for name in fit.names])
terms = np.flatnonzero(hidden_hardware.transfer.aberrations) + 1
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
second.plot(
    drive, np.asarray(hidden_hardware.slm[1].table) - TURN * drive, color=SKY, linewidth=5, label="hidden"
)
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
second.axhline(0, color="0.4", linewidth=0.8, linestyle="--", label="assumed")
second.set(xlabel="drive (share of 2π)", ylabel="phase of the panel − intended phase (rad)")
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
        np.flatnonzero(mask),
        deviation[mask],
        1,
        fmt="o",
        color=colour,
        markersize=4,
        elinewidth=0.7,
        label=name,
    )
fourth.set(
    xlabel="parameter (index)",
    ylabel="(recovered − hidden) / standard error (1)",
    ylim=(-5.5, 5.5),
)
for axes in (first, second, third, fourth):
    axes.legend(frameon=False, fontsize=8, loc="best", ncols=3 if axes is fourth else 1)
figure

# %% [markdown]
# ## Parameters that frames do not determine
#
# Some parameters change all frames in the same way. With piston, tilts and defocus free among the aberrations, and the whole
# phase table, the fit reports it: a phase that all entries of the table share is the piston of the lens, so neither is
# determined, and their standard errors are infinite. A tilt is nearly the same as a lens beside the axis: determined, but
# poorly. The argument `free` fixes such parameters.

# %%
all_free = fit if FAST else optics.fit_twin(fit.device, recording, lambda d: free_numbers(d)[:-1])
wide = dict(zip(all_free.names, all_free.deviations, strict=True))
print(
    f"χ² / degrees of freedom = {all_free.chi2 / all_free.freedom:.3f} (before {fit.chi2 / fit.freedom:.3f})"
)
unknown = ", ".join(all_free.undetermined) or "none"
print(textwrap.fill(f"not determined: {unknown}", 110, subsequent_indent=" " * 16))

figure = Figure(figsize=(11, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
short = [name.removeprefix("transfer.") for name in fit.names[:9]]
picture = left.imshow(fit.correlation[:9, :9], cmap="PuOr_r", vmin=-1, vmax=1)
left.set_xticks(range(9), short, rotation=60, ha="right", fontsize=8)
left.set_yticks(range(9), short, fontsize=8)
left.set_title("correlations, tilts fixed", fontsize=10)
figure.colorbar(picture, ax=left, label="correlation (1)")
wider = np.array([wide[name] for name in fit.names[:9]]) / fit.deviations[:9]
right.bar_label(right.barh(range(9), wider, color=PURPLE), fmt="%.2g", padding=3, fontsize=8)
right.set_yticks(range(9), short, fontsize=8)
right.invert_yaxis()
right.margins(x=0.12)
right.axvline(1, color="0.4", linewidth=0.8)
right.set(xlabel="standard error, all aberrations free / as fitted above (1)")
figure

# %% [markdown]
# ## The gain: convolutions
#
# `compensate` corrects the hardware with the twin: phases go through the inverse of the twin's phase table, and a matrix in
# front undoes the twin's optics. A fit of the brightness of the pixels alone shows the gain of a simpler model. The hidden
# hardware, used as its own twin, is the best that a fit could reach.

# %%
simple = optics.fit_twin(assumed, recording, lambda d: d.slm[2].gain)
ratio = simple.chi2 / simple.freedom
print(
    f"brightness alone fitted: χ² / degrees of freedom = {ratio:.0f}: this model does not describe the hardware"
)
ASSUMED, SIMPLE, FITTED, HIDDEN = (
    "assumed",
    "twin: brightness alone",
    "twin: all fitted",
    "the hidden hardware",
)
twins = {ASSUMED: assumed, SIMPLE: simple.device, FITTED: fit.device, HIDDEN: hardware}
corrected = {name: optics.compensate(hardware, twin) for name, twin in twins.items()}
x, kernel = jnp.asarray(rng.standard_normal((2, 8, N, N)))
exact = optics.convolve(x, kernel)


@eqx.filter_jit
def convolution_error(device, key):
    """Relative rms error of the convolutions."""
    return optics.metrics.relative_error(optics.convolve(x, kernel, device, key), exact)


def without_noise(device):
    """The same device with unlimited light and a finer converter."""
    return eqx.tree_at(
        lambda d: (d.camera[0].photons, d.camera[1].sigma, d.camera[2].bits),
        device,
        tuple(map(jnp.asarray, (1e18, 0.0, 16))),
    )


noise = jax.random.key(4)
mean = {name: float(convolution_error(without_noise(device), noise)) for name, device in corrected.items()}
draw = {name: float(convolution_error(device, noise)) for name, device in corrected.items()}
figure = Figure(figsize=(9, 3.2), layout="constrained")
axes = figure.subplots()
for place, values, colour, label in (
    (-0.19, mean, ORANGE, "without noise"),
    (0.19, draw, SKY, "one draw of the camera's noise"),
):
    bars = axes.barh(
        np.arange(len(values)) + place,
        [100 * v for v in values.values()],
        height=0.36,
        color=colour,
        label=label,
    )
    axes.bar_label(bars, [f"{v:.2%}" for v in values.values()], padding=3, fontsize=8)
axes.set_yticks(range(len(corrected)), list(corrected))
axes.invert_yaxis()
axes.set(xlabel="relative rms error of a convolution (%)", xscale="log")
axes.margins(x=0.2)
axes.legend(frameon=False, fontsize=8, loc="lower right")
figure

# %% [markdown]
# ## Drift
#
# Phases drift and light fades. `Drift` holds the history of one unit, here a random walk of every pixel,
# $\operatorname{Var}\varphi = D\,t$. `aging.error_over_time` gives the error of convolutions when the device is calibrated
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
    """Root mean square over the hour."""
    return float(np.sqrt(np.mean(errors**2)))


# %% [markdown]
# The schedule calibrates with one pixel after another and without noise. Hardware has frames: after half an hour,
# `fit_twin` fits a complex gain for each pixel to a few of them, and `compensate` sets the gains that undo it.

# %%
MOMENT = HOUR / 2
plain = eqx.tree_at(lambda d: d.slm, fresh, (effects.Gain(jnp.ones((N, N), complex)),))
drifted = aging.at_time(fresh, MOMENT)
sets = 10 if FAST else 20
later_exposure = prepare(plain, numbers[:sets])
later_frames = expose(drifted, later_exposure, jax.random.key(7))
later = optics.Recording.of(plain, numbers[:sets], later_frames)
later_twin = optics.fit_twin(plain, later, lambda d: d.slm[0].gain).device
recalibrated = float(convolution_error(optics.compensate(drifted, later_twin, "complex"), noise))
before = float(never[np.searchsorted(times, MOMENT)])


def plot_schedule(minutes=USUAL):
    """The error through the hour, and the mean of each schedule."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    left.plot(times / 60, 100 * never, color="0.5", label="calibrated once")
    left.plot(times / 60, 100 * kept[minutes], color=BLUE, label=f"every {minutes} minutes")
    left.plot(
        MOMENT / 60,
        100 * recalibrated,
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


plot_schedule()

# %% [markdown]
# ## Try it: how often?

# %%
_ = ipywidgets.interact(
    plot_schedule,
    minutes=ipywidgets.SelectionSlider(
        options=MINUTES, value=USUAL, description="minutes", continuous_update=False
    ),
)

# %% [markdown]
# ## Results

# %%
largest, rms_deviation = np.max(np.abs(deviation)), np.sqrt(np.mean(deviation**2))
chi2 = {name: f.chi2 / f.freedom for name, f in (("fit", fit), ("all free", all_free), ("simple", simple))}
schedules = ", ".join(f"{rms(errors):.1%} every {minutes} min" for minutes, errors in kept.items())
results = (
    f"{recording.count} frames determine {len(fit.names)} hidden parameters within {largest:.1f} standard errors "
    f"(root mean square {rms_deviation:.2f}); χ² per degree of freedom is {chi2['fit']:.3f}. The error bars are right.",
    f"With all aberrations and the whole table free, {len(all_free.undetermined)} parameters are not determined and others "
    f"have errors up to {wider.max():.0f} times as large, while χ² per degree of freedom is {chi2['all free']:.3f}. The error "
    "bars show the problem; χ² does not.",
    f"Corrected with the assumed model, a convolution has an error of {mean[ASSUMED]:.1%}; with the twin {mean[FITTED]:.2%}, "
    f"{mean[ASSUMED] / mean[FITTED]:.0f} times less. With one draw of noise it is {draw[FITTED]:.1%}, and with the hidden "
    f"hardware as twin {draw[HIDDEN]:.1%}: noise is what remains.",
    f"A model with brightness alone leaves {mean[SIMPLE]:.1%}. Its χ² per degree of freedom, {chi2['simple']:.0f}, shows that "
    "before it corrects anything.",
    f"In an hour of drift the error grows from {floor:.1%} to {never[-1]:.1%}. Over the hour it is {rms(never):.1%} when "
    f"calibrated once, {schedules}.",
    f"After half an hour {later.count} frames and a fit reduce it from {before:.1%} to {recalibrated:.1%}.",
)
for i, line in enumerate(results, 1):
    print(textwrap.fill(f"{i}. {line}", 110, subsequent_indent="   "))
