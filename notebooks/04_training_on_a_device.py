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
# # Training on a device: three gradient rules
#
# **A network computes its convolutions with light. Where should its gradient come from?**
#
# The forward pass runs on the device. For the backward pass there is a choice:
#
# | rule | derivative of $y = \mathrm{device}(x, w)$ | needs |
# | --- | --- | --- |
# | `simulator` | that of the simulated device, converters straight through | an accurate model of the device |
# | `ideal` | that of the exact convolution: $\bar x = \bar y \star w,\; \bar w = \bar y \star x$ | nothing |
# | `optical` | the same two correlations, computed by the device too | light, with its noise |
#
# The gradient of a convolution is made of convolutions, so hardware can run its own backward pass. This notebook trains
# the same small transformer three times on images of digits, and measures how well the three gradients agree,
#
# $$ \cos(g_1, g_2) = \frac{g_1 \cdot g_2}{\Vert g_1\Vert\, \Vert g_2\Vert} . $$

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
from dataclasses import replace

import equinox as eqx
import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, GREEN, ORANGE
from nets import data
from nets.config import Config, resolve
from nets.run import build_model, compile_steps, loss_sums

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer pixels and steps, a shortened version
RULES = {"simulator": BLUE, "ideal": ORANGE, "optical": GREEN}

# %% [markdown]
# ## A network and a device
#
# One transformer block whose queries, keys and values are circular convolutions of the embedding, a plane of the size of
# the device. The device has converters of 8 and 10 bits, photon noise and noise of the receivers.

# %%
N = 5 if FAST else 7
config = resolve(Config(data="digits", model="conv2d", shape=(N, N), heads=2, device="engine11", dropout=0.0))
dataset = data.load(config)
device = optics.presets.load("engine11", level="ideal" if FAST else "compiled", pixels=N)
EPOCHS = 1 if FAST else 4


def network(rule):
    """The same initial weights for every rule."""
    return build_model(replace(config, gradient=rule), dataset, nnx.Rngs(0))


models = {rule: network(rule) for rule in RULES}
weights = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(models["ideal"], nnx.Param)))
print(f"{weights:,} weights, {len(dataset.train.labels):,} images")

# %% [markdown]
# ## Three runs

# %%


def accuracy(evaluate, state, split):
    """Share of the images that are classified correctly, each with one draw of the noise."""
    totals = sum(
        np.asarray(evaluate(state, batch, device, jax.random.key(9), i)[0])
        for i, batch in enumerate(data.batches(split, 128))
    )
    return float(totals[1] / totals[2])


def train(rule):
    """Losses by step, validation accuracy by epoch, test accuracy, and the weights after each epoch."""
    model = network(rule)
    optimizer = nnx.Optimizer(model, optax.adam(5e-3), wrt=nnx.Param)
    step, evaluate = compile_steps(model, optimizer)
    state, order = nnx.state((model, optimizer)), np.random.default_rng(0)
    losses, validation, kept = [], [], [nnx.state(model, nnx.Param)]
    for _ in range(EPOCHS):
        for batch in data.batches(dataset.train, 32, order.permutation(len(dataset.train.labels))):
            state, totals = step(state, batch, device, jax.random.key(1), len(losses))
            losses.append(float(totals[0] / totals[2]))
        validation.append(accuracy(evaluate, state, dataset.validation))
        kept.append(nnx.filter_state(state[0], nnx.Param))
    return losses, validation, accuracy(evaluate, state, dataset.test), kept


runs = {rule: train(rule) for rule in RULES}
figure = Figure(figsize=(10, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for rule, colour in RULES.items():
    losses, validation, test, _ = runs[rule]
    smooth = np.convolve(losses, np.ones(8) / 8, "valid")
    left.plot(np.arange(len(smooth)) + 4, smooth, color=colour, label=rule)
    right.plot(
        np.arange(1, EPOCHS + 1),
        100 * np.array(validation),
        "o-",
        color=colour,
        label=f"{rule}: test {test:.1%}",
    )
left.set(xlabel="step (1)", ylabel="training loss, mean of 8 (nat)")
right.set(xlabel="epoch (1)", ylabel="validation accuracy (%)")
for axes in (left, right):
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Do the gradients agree?
#
# The three rules at the same weights and on the same batch. Noise makes even one rule differ from draw to draw. So we
# compare with the cosine between two draws of `simulator`: a rule that agrees as well cannot be distinguished from it.

# %%
batch = next(data.batches(dataset.train, 64))
graphs = {rule: nnx.split(model, nnx.Param, ...) for rule, model in models.items()}


def gradient_of(rule):
    """(weights, device, key) -> gradient of the loss, as one vector."""
    graph, _, rest = graphs[rule]

    @jax.jit
    def gradient(weights, device, key):
        def loss(weights):
            totals = loss_sums(nnx.merge(graph, weights, rest), batch, device, key)[0]
            return totals[0] / totals[2]

        return ravel_pytree(jax.grad(loss)(weights))[0]

    return gradient


gradients = {rule: gradient_of(rule) for rule in RULES}


def cosine(a, b):
    """Cosine of the angle between two vectors."""
    return float(jnp.vdot(a, b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b)))


def agreement(weights, device, draws=2 if FAST else 4):
    """Mean cosine with `simulator`: of the other rules, and of another draw of itself."""
    cosines = {"ideal": [], "optical": [], "simulator, another draw": []}
    for i in range(draws):
        key, other = jax.random.split(jax.random.key(i))
        reference = gradients["simulator"](weights, device, key)
        cosines["simulator, another draw"].append(
            cosine(reference, gradients["simulator"](weights, device, other))
        )
        for rule in ("ideal", "optical"):
            cosines[rule].append(cosine(reference, gradients[rule](weights, device, key)))
    return {name: float(np.mean(values)) for name, values in cosines.items()}


kept = runs["simulator"][3]
by_epoch = [agreement(weights, device) for weights in kept]
figure = Figure(figsize=(6.5, 3.6), layout="constrained")
axes = figure.subplots()
for name, colour in (("ideal", ORANGE), ("optical", GREEN), ("simulator, another draw", "0.4")):
    differences = [max(1 - cosines[name], 1e-7) for cosines in by_epoch]
    axes.semilogy(
        range(len(by_epoch)), differences, "o--" if "draw" in name else "o-", color=colour, label=name
    )
axes.set(
    xlabel="epochs trained (1)",
    ylabel="1 − cosine with the simulator's gradient (1)",
    xticks=range(len(by_epoch)),
)
axes.legend(frameon=False, fontsize=9)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Try it: a worse lens
#
# A lens with coma, with unchanged gains. `ideal` ignores the coma, `optical` suffers it twice, and `simulator` models it
# exactly. How much coma does it take to change the gradient?

# %%
lens = optics.presets.load("engine11", level="wave", pixels=N).transfer
good = optics.presets.load("engine11", pixels=N)
COMAS = (0.0, 0.1, 0.3) if FAST else (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)


@jax.jit
def transfer_with(coma):
    """The compiled lens with this coma, in waves rms."""
    return optics.compile_transfer(
        eqx.tree_at(lambda s: s.aberrations, lens, jnp.zeros(8).at[7].set(coma), is_leaf=lambda x: x is None)
    )


by_coma = [
    agreement(kept[-1], eqx.tree_at(lambda d: d.transfer, good, transfer_with(coma)), 2) for coma in COMAS
]


def plot_agreement(coma=COMAS[1]):
    """Agreement against coma, with one lens marked."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("ideal", ORANGE), ("optical", GREEN), ("simulator, another draw", "0.4")):
        values = [cosines[name] for cosines in by_coma]
        axes.plot(COMAS, values, "o--" if "draw" in name else "o-", color=colour, label=name)
    axes.axvline(coma, color="0.7", linewidth=1)
    chosen = by_coma[COMAS.index(coma)]
    axes.set_title(", ".join(f"{name} {chosen[name]:.3f}" for name in ("ideal", "optical")), fontsize=10)
    axes.set(
        xlabel="coma of the lens (waves rms over the pupil)",
        ylabel="cosine with the simulator's gradient (1)",
    )
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.3)
    return figure


plot_agreement()

# %%
_ = ipywidgets.interact(
    plot_agreement, coma=ipywidgets.SelectionSlider(options=COMAS, value=COMAS[1], continuous_update=False)
)

# %% [markdown]
# ## Results

# %%
for rule in RULES:
    print(f"{rule:10s} test accuracy {runs[rule][2]:.1%} after {EPOCHS} epochs")
best = max(runs[rule][2] for rule in RULES)
standard_error = np.sqrt(best * (1 - best) / len(dataset.test.labels))
print(f"One run each; the standard error of an accuracy of {best:.0%} is {standard_error:.1%}.")
print("Cosine with the simulator's gradient: ideal, optical, another draw of the simulator")
for name, cosines in (
    ("initial weights", by_epoch[0]),
    ("trained weights", by_epoch[-1]),
    (f"with {COMAS[-1]:g} waves of coma", by_coma[-1]),
):
    print(f"    {name:24s} " + ", ".join(f"{value:.3f}" for value in cosines.values()))
