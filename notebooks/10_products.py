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
# # A transformer wholly in light: what does it cost?
#
# **What do the products of a transformer cost, in error, exposures and joules, when light computes all of them:
# projections, queries times keys, weights times values?**
#
# Convolutions mix tokens with fixed kernels. Attention multiplies two matrices that both change with the input. Two kinds
# of optics do that: one multiplies a vector by a matrix that stands on a modulator, the other two matrices in one exposure.
# This notebook
#
# 1. looks at the light of one exposure that multiplies two matrices;
# 2. computes queries times keys on two vector–matrix multipliers;
# 3. puts a device into a layer of Flax;
# 4. counts exposures and joules of a whole block, and the photons that it needs.

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

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from flax import nnx
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, GREEN, ORANGE, RED
from optics import accounting, effects, metrics

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer tokens, a shortened version

# %% [markdown]
# ## Two matrices, one exposure
#
# Row $i$ of $A$ carries a phase ramp of its own. A cylindrical lens spreads all rows over the second modulator, whose row
# $j$ holds column $j$ of $B$; another one adds the products along each row. The ramp sends row $i$ of the product to a
# place of its own, so that the detector sees all of $A B$ at once (Zhang et al., Nature Photonics 20, 102, 2026).

# %%
SIZE = 4
lenses = optics.CrossedLenses(
    (SIZE, SIZE, SIZE), pitch=11.2e-6, wavelength=532e-9, width=2 * SIZE, fill=0.98, detector_fill=0.95
)
a, b = np.random.default_rng(0).random((2, SIZE, SIZE))

samples = (np.arange(lenses.width) - (lenses.width - 1) / 2) / lenses.width
ramps = np.exp(2j * np.pi * np.outer(lenses.cycles, samples))
first = (a[:, :, None] * ramps[:, None, :]).reshape(SIZE, -1)
image = lenses.apply(lenses.first_image, lenses.apply(lenses.spread, jnp.asarray(first)))
behind = image * np.repeat(b.T, lenses.width, axis=1)
detector = lenses.apply(lenses.focus, lenses.apply(lenses.second_image, behind))

places = SIZE * lenses.width // 2 + np.round(np.array(lenses.cycles) * SIZE).astype(int)
figure = Figure(figsize=(13, 5.2), layout="constrained")
panels = figure.subplots(2, 2)
for axes, field, title, rows in zip(
    panels.ravel(),
    (first, image, behind, detector),
    (
        "light of A: amplitude (its ramps are phases)",
        "on the second modulator: all rows of A on each",
        "behind it, times the columns of B",
        "on the detector: the circles read A B, row i at the place of ramp i",
    ),
    ("row of A", "column of B", "column of B", "column of B"),
    strict=True,
):
    drawn = axes.imshow(np.abs(field), cmap="viridis", aspect="auto")
    axes.set(title=title, xlabel="pixel along the rows", ylabel=rows, yticks=range(SIZE))
    figure.colorbar(drawn, ax=axes, label="amplitude (1)")
grid_x, grid_y = np.meshgrid(places, range(SIZE))
panels[1, 1].scatter(grid_x, grid_y, s=90, facecolors="none", edgecolors=RED)
figure

# %% [markdown]
# With a whole number of periods in an element the ramps are orthogonal: ideal Fourier transforms would make an exact
# product. Real pixels leave shading and crosstalk. `with_fitted_gains` takes the shading out, and the rest is the error of
# the geometry.

# %%
device = optics.MatrixMatrixMultiplier(optics.compile_crossed(lenses)).with_fitted_gains()
exact = a @ b
of_optics = float(metrics.relative_error(optics.matmul(a, b, device), exact))
spread = float(np.std(exact) / np.sqrt(np.mean(exact**2)))
bench = optics.presets.load("tensor-bench", size=SIZE)
of_bench = float(metrics.relative_error(optics.matmul(a, b, bench, jax.random.key(1)), exact))
print(f"relative error by the optics alone {of_optics:.3f}, of a bench with its noise {of_bench:.3f};")
print(f"a constant in place of the product would be off by {spread:.3f}.")

# %% [markdown]
# ## Queries times keys
#
# `stanford` adds the powers of a line of diodes behind a liquid-crystal panel, 48 numbers at a time; `crossbar` is a chip
# of 128×128 cells. Either holds the keys of a head on its modulator while the queries pass, one exposure a row.
# `optics.matmul` divides what is too large into tiles.

# %%
TOKENS, WIDTH, HEADS, FEATURES = (16 if FAST else 128), 121, 8, 16
query_key, key_key, noise_key = jax.random.split(jax.random.key(2), 3)
queries = jax.random.normal(query_key, (HEADS, TOKENS, FEATURES))
keys = jax.random.normal(key_key, (HEADS, TOKENS, FEATURES))
logits = jnp.matmul(queries, jnp.swapaxes(keys, -1, -2), precision="highest") / np.sqrt(FEATURES)
devices = {name: optics.presets.load(name) for name in ("stanford", "crossbar")}
figure = Figure(figsize=(13, 3.6), layout="constrained")
left, *others = figure.subplots(1, 3)
weights = jax.nn.softmax(logits, -1)
SHOWN = np.s_[0, :16, :16]  # of one head
limits = dict(vmin=0, vmax=float(weights[SHOWN].max()), cmap="viridis")
left.imshow(weights[SHOWN], **limits)
left.set(title="attention of one head, exact", xlabel="key", ylabel="query")
errors = {}
for axes, (name, multiplier) in zip(others, devices.items(), strict=True):
    product = optics.matmul(queries, jnp.swapaxes(keys, -1, -2), multiplier, noise_key) / np.sqrt(FEATURES)
    noisy = jax.nn.softmax(product, -1)
    errors[name] = float(metrics.relative_error(product, logits))
    drawn = axes.imshow(noisy[SHOWN], **limits)
    axes.set(title=f"{name}: logits off by {errors[name]:.1%}", xlabel="key", ylabel="query")
    total = float(jnp.mean(jnp.sum(jnp.abs(noisy - weights), -1) / 2))
    print(
        f"{name}: relative error of the logits {errors[name]:.4f}, {total:.1%} of the attention is displaced"
    )
figure.colorbar(drawn, ax=others, label="weight (1)")
figure

# %% [markdown]
# ## A layer of Flax
#
# `optics.dot_general` has the signature of `jax.lax.dot_general`. `nnx.Linear` takes it, and so do `nnx.LinearGeneral`
# and `nnx.MultiHeadAttention`; nothing else changes, gradients included.

# %%
x = jax.random.normal(jax.random.key(3), (TOKENS, WIDTH))
through_light = optics.dot_general(devices["crossbar"], jax.random.key(4))
layer, optical = (
    nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(0), **options) for options in ({}, {"dot_general": through_light})
)
of_layer = float(metrics.relative_error(optical(x), layer(x)))


def loss(layer):
    return jnp.sum(layer(x) ** 2)


gradients = [nnx.grad(loss)(each).kernel[...] for each in (optical, layer)]
of_gradient = float(metrics.relative_error(*gradients))
print(f"a layer of {WIDTH}×{WIDTH} on the crossbar: off by {of_layer:.2%}, its gradient by {of_gradient:.2%}")

# %% [markdown]
# ## A block: exposures and joules
#
# The products of one block of 128 tokens: queries, keys and values, queries times keys, weights times values, the
# output, and two layers of the network behind. `accounting.count` reads exposures and conversions off the traced program;
# nothing runs. Projections hold a matrix for all tokens; attention writes a new one for each head.

# %%
INNER, HIDDEN = HEADS * FEATURES, 4 * WIDTH
products = {
    "queries, keys, values": (3, TOKENS, WIDTH, INNER),
    "queries · keys": (HEADS, TOKENS, FEATURES, TOKENS),
    "weights · values": (HEADS, TOKENS, TOKENS, FEATURES),
    "output": (1, TOKENS, INNER, WIDTH),
    "hidden layer": (1, TOKENS, WIDTH, HIDDEN),
    "back to the width": (1, TOKENS, HIDDEN, WIDTH),
}


def counts_of(device, count, m, k, n):
    left, right = jnp.zeros((count, m, k)), jnp.zeros((count, k, n))
    return accounting.count(lambda device, key: optics.matmul(left, right, device, key), device)


priced = {
    "crossbar": (devices["crossbar"], "integrated"),
    "stanford": (devices["stanford"], "liquid-crystal"),
    "tensor-bench": (optics.presets.load("tensor-bench", size=50, level="ideal"), "liquid-crystal"),
}
macs = sum(count * m * k * n for count, m, k, n in products.values())
joules, exposures, seconds = {}, {}, {}
for name, (multiplier, hardware) in priced.items():
    parts = {what: counts_of(multiplier, *shape) for what, shape in products.items()}
    price = accounting.price(sum(parts.values(), accounting.Counts(0, 0, 0)), hardware)
    joules[name], exposures[name], seconds[name] = price.joules / TOKENS, price.exposures, price.seconds
    print(f"{name} on {hardware} hardware: {price.exposures:,} exposures in {price.seconds:.3g} s,")
    print(
        f"    {price.dac:,} numbers written and {price.adc:,} read, {price.joules / TOKENS:.3g} J for each token"
    )
per_flop = accounting.electronics()["GPU, BF16"].value
electronic = 2 * macs * per_flop / TOKENS
print(f"electronics, GPU at its peak rate, arithmetic alone: {electronic:.3g} J for each token")

# %% [markdown]
# ## Photons
#
# Noise of photons is a floor that no converter removes. A sum of $k$ products that detects $p$ photons for each has a
# relative error of $1/\sqrt{k p}$ where nothing is negative. With signs, sums cancel and photons do not, so that attention
# takes more. On the right is what the laser takes for that light, beside all that the ledger counts.

# %%
light = np.logspace(-2, 4, 4 if FAST else 9)


def logits_with(photons):
    """Relative error of queries times keys by shot noise alone, with these photons for a multiplication."""

    def make(at_full_scale):
        shot = effects.Shot(at_full_scale)
        return optics.VectorMatrixMultiplier(optics.ExactProduct((1, FEATURES, TOKENS)), camera=(shot,))

    columns = jnp.swapaxes(keys, -1, -2)
    bare = make(1.0)
    # Photons of both diodes of a pair in both exposures, for each number of the sum.
    share = float(jnp.mean(jnp.sum(bare.expose(bare.prepare(queries, columns)), (-4, -3, -2)))) / FEATURES
    product = optics.matmul(queries, columns, make(photons / share), noise_key)
    return float(metrics.relative_error(product / np.sqrt(FEATURES), logits))


shot_errors = np.array([logits_with(p) for p in light])
PHOTON = 6.626e-34 * 2.998e8 / 1.55e-6  # J
of_laser = PHOTON * macs / TOKENS / accounting.hardware("integrated")["wall_plug"].value
figure = Figure(figsize=(12, 3.8), layout="constrained")
left, right = figure.subplots(1, 2)
left.loglog(light, shot_errors, "o-", color=BLUE, label="shot noise alone")
for (name, error), colour in zip(errors.items(), (GREEN, ORANGE), strict=True):
    left.axhline(error, color=colour, linestyle="--", label=f"{name}, all its errors")
left.set(xlabel="detected photons of a multiplication (1)", ylabel="relative RMS error of the logits (1)")
right.loglog(
    light, of_laser * light, "o-", color=BLUE, label="laser, at 20 % wall-plug efficiency, without loss"
)
right.axhline(joules["crossbar"], color=ORANGE, linestyle="--", label="crossbar, all of its ledger")
right.axhline(electronic, color=RED, linestyle="--", label="GPU, arithmetic alone")
right.set(xlabel="detected photons of a multiplication (1)", ylabel="energy of a token in a block (J)")
for axes in (left, right):
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## Results

# %%
slope = np.polyfit(np.log(light), np.log(shot_errors), 1)[0]
enough = float(np.exp(np.interp(-np.log(errors["crossbar"]), -np.log(shot_errors), np.log(light))))
print(
    f"1. One exposure multiplies two matrices of {SIZE}×{SIZE}: off by {of_optics:.1%} by its optics, and by"
)
print(f"   {of_bench:.1%} on a bench with noise and converters.")
print(
    f"2. Queries times keys are off by {errors['crossbar']:.1%} on the crossbar and {errors['stanford']:.1%} on stanford."
)
print(
    f"3. A block takes {exposures['crossbar']:,} exposures on the crossbar, {seconds['crossbar']:.2g} s, and"
)
print(
    f"   {joules['crossbar']:.2g} J a token; on stanford {exposures['stanford']:,}, {seconds['stanford']:.2g} s and {joules['stanford']:.2g} J."
)
print(
    f"   A GPU pays {electronic:.2g} J a token for the arithmetic: the crossbar takes {joules['crossbar'] / electronic:.2g} times that."
)
print(
    f"4. The error by photons falls with their number to the power {slope:.2f}. The crossbar's error is that of"
)
print(f"   {enough:.2g} photons a multiplication, whose light costs {enough * of_laser:.1g} J a token.")
