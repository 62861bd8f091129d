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
# # A megapixel correlator
#
# **How many convolutions does one exposure of a whole panel hold, and what do they cost in accuracy?**
#
# An 11×11 engine computes one small convolution at a time. A correlator of two panels of liquid crystal has a million
# pixels in each plane, and its exposure takes as long whether one corner of them is used or all. This notebook
#
# 1. describes the lens behind such a panel, propagates light through it, and compiles it;
# 2. packs small planes side by side and convolves all of them in one exposure;
# 3. looks at what noise costs when so many numbers share the light.

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
import time

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, ORANGE
from optics import effects, mapping, metrics

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # a corner of the panel, a shortened version

# %% [markdown]
# ## The lens behind the panel
#
# 17 µm pixels, 1.064 µm light. The focal length that makes both pitches match, $f = N p^2 / \lambda$, is 28 cm for 1,024
# pixels. A sampled plane that holds everything that pixels scatter would have 65,536 samples a side. What an ideal lens
# sends to the detector is the zero order alone, the frequencies up to half a cycle a pixel:
# `FourierLens` follows that order by default above 16 pixels a side, on a plane of little more than twice the panel.

# %%
N = 48 if FAST else 1024
lens = optics.FourierLens(
    N,
    pitch=17e-6,
    wavelength=1.064e-6,
    fill=0.97,
    detector_fill=0.97,
    pupil_radius=2 * N * 17e-6,
    aberrations=[] if FAST else [0, 0, 0, 0, 0, 0, 0, 0.02],
)
print(f"f = {float(lens.focal_length):.3f} m, {lens.plane:,} samples a side, {lens.oversampling} a pixel")

# %% [markdown]
# `compile_transfer` looks at the light of some pixels and finds the shortest sum of Fourier transforms between masks,
# $\sum_k D_k \cdot F[A_k \cdot \mathrm{in}]$, that stands for the lens. An ideal lens takes one term; coma (here 0.02 waves
# rms) takes a few more.

# %%
start = time.perf_counter()
transfer = optics.compile_transfer(lens)
elapsed = time.perf_counter() - start
print(f"{transfer.masks_in.shape[0]} terms, residual {float(transfer.residual):.1e}, {elapsed:.0f} s")

light = jax.random.normal(jax.random.key(0), (N, N))


def seconds(function, *arguments):
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


wave, compiled = jax.jit(lambda lens, light: lens(light)), jax.jit(lambda transfer, light: transfer(light))
error = metrics.relative_error(compiled(transfer, light), wave(lens, light))
print(f"wave optics {seconds(wave, lens, light):.3g} s a transform")
print(f"compiled {seconds(compiled, transfer, light):.3g} s a transform")
print(f"relative error of the compiled transform: {float(error):.1e}")

# %%
figure = Figure(figsize=(12, 3.6), layout="constrained")
for axes, mask, title in zip(
    figure.subplots(1, 3),
    (transfer.masks_out[0], transfer.masks_out[-1], transfer.masks_in[-1]),
    ("detector, first term", "detector, last term", "light, last term"),
    strict=True,
):
    image = axes.imshow(np.abs(mask), cmap="viridis")
    axes.set(title=title, xlabel="pixel", ylabel="pixel")
    figure.colorbar(image, ax=axes, label="amplitude (1)", shrink=0.8)
figure

# %% [markdown]
# ## Many planes in one exposure
#
# `convolve_packed` lays small planes side by side with a guard band, so that no output of one depends on another. Planes
# of 11×11 with a kernel of 11×11 take 21×21 pixels each.

# %%
gains = optics.calibrate(optics.FourierProcessor(transfer), compensation="complex")
correlator = optics.Correlator(transfer, input_gain=gains.input_gain, output_gain=gains.output_gain)
kernel = jax.random.normal(jax.random.key(1), (11, 11))
plan = mapping.plan_packed((1, 11, 11), (11, 11), correlator.shape)
count = plan.grid[0] * plan.grid[1]
planes = jax.random.normal(jax.random.key(2), (count, 11, 11))
packed = jax.jit(mapping.convolve_packed)
exact = optics.convolve(planes, kernel)
result = packed(planes, kernel, correlator)
print(
    f"{count:,} convolutions in one exposure, relative error {float(metrics.relative_error(result, exact)):.1e}"
)

# %%
small = optics.presets.load("engine11")
of_panel = seconds(packed, planes, kernel, correlator, jax.random.key(3))
of_engine = seconds(jax.jit(optics.convolve), planes, kernel, small, jax.random.key(3))
print(f"simulated in {1e6 * of_panel / count:.1f} µs a convolution on the panel")
print(f"and in {1e6 * of_engine / count:.1f} µs on engine11")

# %% [markdown]
# ## Noise
#
# The receiver's full scale has to lie above the brightest pixel. A bound that holds for any numbers (Cauchy–Schwarz) grows
# with the light of the whole plane, while each output stays what it was: of $n$ packed planes an output is about
# $1/\sqrt{121\,n}$ of it. An exposure meter (`metering=True`) takes one exposure more and sets full scale by the light as it
# is, which is a few times the typical output however many planes there are.

# %%
shares = np.unique(np.geomspace(1, count, 4 if FAST else 6).astype(int))
photons = 1e8
noise = (effects.BalancedShot(photons),)
gain = dict(input_gain=gains.input_gain, output_gain=gains.output_gain)
figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
for metering, colour, name in (
    (False, BLUE, "full scale by a bound"),
    (True, ORANGE, "full scale by a meter"),
):
    noisy = optics.Correlator(transfer, camera=noise, metering=metering, **gain)
    errors = []
    for n in shares:
        lit = planes * (jnp.arange(count) < n)[:, None, None]
        drawn, mean = packed(lit, kernel, noisy, jax.random.key(4)), packed(lit, kernel, correlator)
        errors.append(float(metrics.relative_error((drawn - mean + exact)[:n], exact[:n])))
    axes.loglog(shares, errors, "o-", color=colour, label=name)
    print(name, [f"{error:.1e}" for error in errors])
axes.set(xlabel="planes in the exposure (1)", ylabel="relative RMS error by noise (1)")
axes.set_title(f"{photons:.0e} photons at full scale")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# With the bound the error grows as the root of the number of planes: packing is free in exposures and not in light. With a
# meter it hardly grows. `optics.ledger` counts exposures, joules and conversions of both devices.

# %%
print(f"{count:,} convolutions of 11×11 in one exposure of {N:,}×{N:,} pixels.")
print(f"Their error by noise is {errors[-1]:.1e} when a meter sets full scale.")
