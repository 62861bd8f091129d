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
# # Lambda networks and long sequences
#
# **Attention costs the square of the length. Do lambdas avoid that, and can light compute them?**
#
# Attention compares every token with every other: a map of $n \times n$ weights for each head. A *lambda layer* reverses
# the order. All tokens together make one small matrix for each position, which is then applied to that position's queries:
#
# $$ y_{n,h} = \left(\lambda^c + \lambda^p_n\right)^{\!\top} q_{n,h}, \qquad
#    \lambda^c = \sum_m \mathrm{softmax}_m(K_m)\, V_m^\top, \qquad
#    \lambda^p_n = \sum_m R_{m-n}\, V_m^\top . $$
#
# $R$ depends on the *distance* $m - n$ alone. So $\lambda^p$ is a convolution along the sequence: it needs no map of pairs,
# an FFT computes it in $n \log n$, and a Fourier engine can compute it with light.

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

import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from flax import nnx
from matplotlib.figure import Figure

import nets
import optics
from bench import plots
from bench.plots import BLUE, GREEN, ORANGE
from optics import accounting

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # shorter sequences, a shortened version
FEATURES, HEADS, DEPTH = 32, 4, 8


def lambda_layer(scope, method="fft", **options):
    """A lambda layer without dropout and without batch statistics."""
    return nets.LambdaLayer(
        FEATURES,
        HEADS,
        DEPTH,
        scope,
        boundary="zero",
        normalization="layer",
        method=method,
        rngs=nnx.Rngs(0),
        **options,
    )


# %% [markdown]
# ## Three ways to the same sum
#
# Summed directly, tap by tap; by FFT; by the full tensor of pairs, as an attention map would be.

# %%
x = jax.random.normal(jax.random.key(0), (2, 64, FEATURES))
by_method = {method: np.asarray(lambda_layer(31, method)(x)) for method in ("direct", "fft", "dense")}
largest_difference = max(float(np.abs(by_method[m] - by_method["dense"]).max()) for m in ("direct", "fft"))
typical = np.abs(by_method["dense"]).mean()
print(f"the three ways differ by at most {largest_difference:.1e}, where outputs are around {typical:.2f}")

# %% [markdown]
# ## Which token influences which?
#
# A lambda layer has no attention map, but it has an influence: how much token $n$ changes when token $m$ does,
# $\Vert \partial y_n / \partial x_m \Vert$, with each row scaled to sum 1. The position lambda is a band as wide as the
# scope. The content lambda is the same matrix for all positions: it shows a token as a column from top to bottom.

# %%
tokens = x[:1, :24]


def influence(layer):
    """‖∂y_n/∂x_m‖, rows summing to 1."""
    slopes = jax.jacrev(lambda t: layer(t)[0])(tokens)[:, :, 0]
    size = jnp.sqrt(jnp.sum(slopes**2, axis=(1, 3)))
    return np.asarray(size / size.sum(1, keepdims=True))


attention = nets.LinearSelfAttention(FEATURES, heads=HEADS, rngs=nnx.Rngs(0))
maps = np.stack([influence(lambda_layer(5)), influence(lambda_layer(15)), influence(attention)])
figure = plots.attention_map(maps)
for axes, name in zip(figure.axes, ("lambdas, scope 5", "lambdas, scope 15", "attention"), strict=False):
    axes.set_title(name, fontsize=10)
figure

# %% [markdown]
# ## Cost of the length
#
# Memory by the compiler's account, and time, of one layer on one sequence. On these logarithmic axes the slope is the
# exponent of the length. Attention never holds its map: beyond some length it compares a block of tokens at a time with
# all others. That saves memory; every pair is still computed.

# %%
LENGTHS = (64, 128, 256) if FAST else (128, 256, 512, 1024, 2048)
LAYERS = {
    "attention": (lambda n: attention, BLUE),
    "lambdas over everything, all pairs": (lambda n: lambda_layer(2 * n - 1, "dense"), ORANGE),
    "lambdas over everything, FFT": (lambda n: lambda_layer(2 * n - 1), GREEN),
}


def cost(layer, n):
    """Temporary bytes and seconds of one call."""
    graph, state = nnx.split(layer)
    row = jax.random.normal(jax.random.key(1), (1, n, FEATURES))
    call = jax.jit(lambda state, row: nnx.merge(graph, state)(row)).lower(state, row).compile()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(call(state, row))
        times.append(time.perf_counter() - start)
    return call.memory_analysis().temp_size_in_bytes, min(times)


costs = {name: np.array([cost(make(n), n) for n in LENGTHS]) for name, (make, _) in LAYERS.items()}
figure = Figure(figsize=(11, 3.8), layout="constrained")
left, right = figure.subplots(1, 2)
for name, (_, colour) in LAYERS.items():
    left.loglog(LENGTHS, costs[name][:, 0] / 2**20, "o-", color=colour, label=name)
    right.loglog(LENGTHS, costs[name][:, 1] * 1e3, "o-", color=colour, label=name)
left.set(xlabel="tokens (1)", ylabel="temporary memory (MiB)")
right.set(xlabel="tokens (1)", ylabel="shortest of three calls (ms)")
left.legend(frameon=False, fontsize=8)
for axes in (left, right):
    axes.minorticks_off()
    axes.set_xticks(LENGTHS, labels=[f"{m:,}" for m in LENGTHS])
    axes.grid(alpha=0.3)
figure

# %%
slopes = {name: np.polyfit(np.log(LENGTHS[-2:]), np.log(values[-2:]), 1)[0] for name, values in costs.items()}
for name, (memory, seconds) in slopes.items():
    print(f"{name:38s} memory grows as length^{memory:.2f}, time as length^{seconds:.2f}")

# %% [markdown]
# ## With light
#
# A Fourier engine has a plane of a fixed size, here $11 \times 11$. The mapping cuts the sequence into overlapping pieces
# that fit a line of the plane; a line of $L$ pixels with a kernel of $s$ taps gives $L - s + 1$ results. The number of
# exposures is counted in the traced program, without running it.

# %%
device = optics.presets.load(
    "engine11", level="ideal"
)  # exact lens; converters, photon noise and noise of the receivers
SCOPES = (1, 3, 5, 7, 9)
n = 64 if FAST else 256
row = jax.random.normal(jax.random.key(2), (1, n, FEATURES))


def exposures(scope, n):
    """Exposures of one layer on one sequence."""
    layer, row = lambda_layer(scope), jnp.zeros((1, n, FEATURES))
    return accounting.count(lambda device, key: layer(row, device, key), device).exposures


def layer_error(scope, key):
    """Relative error of a layer's output with one draw of the noise."""
    layer = lambda_layer(scope)
    return float(optics.metrics.relative_error(layer(row, device, key), layer(row)))


counted = np.array([exposures(scope, n) for scope in SCOPES])
errors = np.array([layer_error(scope, jax.random.key(3)) for scope in SCOPES])


def plot_scope(scope=5):
    """Exposures and errors against the scope, with one scope marked."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(SCOPES, counted / n, "o-", color=BLUE)
    left.plot(scope, counted[SCOPES.index(scope)] / n, "o", markersize=13, fillstyle="none", color="black")
    left.set(xlabel="scope: taps of the kernel (1)", ylabel="exposures a token (1)", ylim=(0, None))
    right.plot(SCOPES, 100 * errors, "o-", color=ORANGE)
    right.plot(scope, 100 * errors[SCOPES.index(scope)], "o", markersize=13, fillstyle="none", color="black")
    right.set(
        xlabel="scope: taps of the kernel (1)", ylabel="error of the layer, one draw (%)", ylim=(0, None)
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


plot_scope()

# %%
_ = ipywidgets.interact(
    plot_scope, scope=ipywidgets.SelectionSlider(options=SCOPES, value=5, continuous_update=False)
)

# %% [markdown]
# Exposures grow in proportion to the length, so light keeps the good scaling. The price is the factor in front.

# %%
lines = np.array([exposures(5, m) for m in LENGTHS])
figure = Figure(figsize=(6, 3.4), layout="constrained")
axes = figure.subplots()
axes.loglog(LENGTHS, lines, "o-", color=BLUE)
axes.set(xlabel="tokens (1)", ylabel="exposures of one layer, scope 5 (1)")
axes.minorticks_off()
axes.set_xticks(LENGTHS, labels=[f"{m:,}" for m in LENGTHS])
axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Results

# %%
power = np.polyfit(np.log(LENGTHS), np.log(lines), 1)[0]
longest = LENGTHS[-1]
fft, dense = "lambdas over everything, FFT", "lambdas over everything, all pairs"
ratio, slower = costs["attention"][-1] / costs[fft][-1]
print(
    f"1. At {longest:,} tokens attention takes {ratio:.1f} times the memory of lambdas over the same range, and {slower:.1f} times"
)
print(
    f"   the time. Exponents of memory: {slopes['attention'][0]:.2f} and {slopes[fft][0]:.2f}, and {slopes[dense][0]:.2f} for the same lambdas by pairs."
)
print("   Blocks save the memory of attention, and the convolution that of lambdas.")
print(
    f"2. Exposures grow as length^{power:.2f}, with {counted[SCOPES.index(5)] / n:.1f} for each token at scope 5."
)
print(
    f"3. From {SCOPES[0]} to {SCOPES[-1]} taps the exposures grow {counted[-1] / counted[0]:.1f}-fold: a line of 11 pixels gives"
)
print("   fewer results with a longer kernel.")
print(
    f"4. One draw of the whole layer has an error of {errors[0]:.1%} with {SCOPES[0]} tap and {errors[-1]:.1%} with {SCOPES[-1]}."
)
