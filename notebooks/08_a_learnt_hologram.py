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
# # A learnt hologram
#
# **Can gradient descent through the simulator design a modulator pattern better than the classic iteration?**
#
# A modulator that sets phases alone, $u = e^{i\varphi}$, is to send its light into a given pattern. The classic method is
# *Gerchberg–Saxton*: alternate between the planes, keep the phase, replace the amplitude. A weight for each spot makes all
# spots equally bright. The method assumes that $F^{-1}$ of an ideal lens leads back. Gradient descent assumes nothing:
#
# $$ \varphi \leftarrow \varphi - \eta\, \nabla_\varphi L(\varphi), \qquad
#    L = \underbrace{1 - \frac{\sum_{\text{spots}} I}{\sum I}}_{\text{light lost}} \;+\; \alpha\,\underbrace{\frac{\mathrm{var}\,(I_{\text{spot}}/T^2)}
#    {\mathrm{mean}\,(I_{\text{spot}}/T^2)^2}}_{\text{unevenness}} $$
#
# with $I = |T(\mathrm{panel}(\varphi))|^2$, in which the panel and the lens have all their errors.

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

import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.plots import BLUE, GREEN, ORANGE
from optics import retrieve

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer pixels and steps, a shortened version

# %% [markdown]
# ## The panel, the lens, the target
#
# A liquid-crystal panel with its fringing field (`Crosstalk`: sharp steps of the phase are blurred), addressed in 6 bits,
# in front of a real lens (`FourierLens`, compiled). The target is twelve spots, two of them twice as bright as the rest.

# %%
N = 12 if FAST else 24
lens = optics.FourierLens(N, pitch=20e-6, wavelength=633e-9, fill=0.9, detector_fill=0.9, oversampling=6)
glass = optics.compile_transfer(lens, terms=8 if FAST else None)
panel = (optics.effects.PhaseQuantize(6), optics.effects.Crosstalk(optics.effects.SuperGaussian()))
target = np.zeros((N, N), np.float32)
angles = 2 * np.pi * np.arange(12) / 12
for i, angle in enumerate(angles):
    spot = (round(N / 2 + N / 3.2 * np.sin(angle)), round(N / 2 + N / 3.2 * np.cos(angle)))
    target[spot] = np.sqrt(2.0) if i in (1, 5) else 1.0


def ideal(u):
    """The exact transform of the intended phases."""
    return retrieve.centred_dft(u)


@jax.jit
def real(u):
    """The field behind the simulated panel and lens."""
    return glass(optics.effects.apply(panel, u, None))


plots.show(panel[1])

# %% [markdown]
# ## Weighted Gerchberg–Saxton
#
# Designed for the ideal lens, and evaluated twice: with the ideal lens, and with the simulated panel and lens.

# %%
source = jnp.ones((N, N))
classic = retrieve.weighted_gerchberg_saxton(
    source, target, 60, fixed_after=12, key=jax.random.key(0), restarts=4
)


def figures(field):
    """Share of the light in the spots, and how even they are."""
    return float(retrieve.efficiency(field, target)), float(retrieve.uniformity(field, target))


designed, displayed = figures(ideal(classic.object)), figures(real(classic.object))
print(f"weighted Gerchberg–Saxton, as designed: efficiency {designed[0]:.1%}, uniformity {designed[1]:.3f}")
print(f"the same pattern on the panel:          efficiency {displayed[0]:.1%}, uniformity {displayed[1]:.3f}")

# %% [markdown]
# ## Gradient descent through the simulator

# %%
spots = jnp.asarray(target > 0)
weight = jnp.where(spots, jnp.asarray(target), 1.0) ** 2


def loss(phase, through, alpha):
    """Light lost, and unevenness of the spots."""
    power = jnp.abs(through(jnp.exp(1j * phase))) ** 2
    share = jnp.sum(jnp.where(spots, power, 0)) / jnp.sum(power)
    relative = power / weight
    mean = jnp.sum(jnp.where(spots, relative, 0)) / jnp.sum(spots)
    uneven = jnp.sum(jnp.where(spots, (relative / mean - 1) ** 2, 0)) / jnp.sum(spots)
    return 1 - share + alpha * uneven


def descend(phase, through, alpha=2.0, steps=60 if FAST else 600):
    """Phases after gradient descent, and efficiency and uniformity after each step on the simulated panel."""
    rate = optax.cosine_decay_schedule(0.1, steps)
    optimizer = optax.adam(rate)

    @jax.jit
    def run(phase):
        def step(carry, _):
            phase, state = carry
            slope = jax.grad(loss)(phase, through, alpha)
            update, state = optimizer.update(slope, state)
            field = real(jnp.exp(1j * phase))
            return (optax.apply_updates(phase, update), state), (
                retrieve.efficiency(field, target),
                retrieve.uniformity(field, target),
            )

        (phase, _), curve = jax.lax.scan(step, (phase, optimizer.init(phase)), None, length=steps)
        return phase, curve

    return run(phase)


start = jnp.angle(classic.object)
RUNS = {
    "descent through the simulator, from Gerchberg–Saxton": (descend(start, real), ORANGE),
    "descent through the simulator, from random phases": (
        descend(jax.random.uniform(jax.random.key(1), (N, N), maxval=6.28), real),
        GREEN,
    ),
    "descent through the ideal lens": (descend(start, ideal), BLUE),
}
figure = Figure(figsize=(11, 3.8), layout="constrained")
left, right = figure.subplots(1, 2)
for name, ((_, (efficiency, uniformity)), colour) in RUNS.items():
    left.plot(100 * efficiency, color=colour, label=name)
    right.plot(uniformity, color=colour, label=name)
left.axhline(100 * displayed[0], color="0.4", linestyle="--", label="weighted Gerchberg–Saxton")
right.axhline(displayed[1], color="0.4", linestyle="--", label="weighted Gerchberg–Saxton")
left.set(xlabel="step (1)", ylabel="light in the spots (%)", title="on the panel, through the lens")
right.set(
    xlabel="step (1)",
    ylabel="uniformity of the spots (1)",
    title="on the panel, through the lens",
    ylim=(0, 1.02),
)
for axes in (left, right):
    axes.grid(alpha=0.3)
right.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## The patterns and their spots

# %%
better = RUNS["descent through the simulator, from Gerchberg–Saxton"][0][0]
figure = Figure(figsize=(11, 6.4), layout="constrained")
for line, phase, name in zip(
    figure.subplots(2, 3), (start, better), ("Gerchberg–Saxton", "gradient descent"), strict=True
):
    power = np.abs(np.asarray(real(jnp.exp(1j * phase)))) ** 2
    power = power / power.sum()
    wrapped = np.angle(np.exp(1j * np.asarray(phase)))
    limits = (-np.pi, np.pi)
    plots.image(line[0], wrapped, "phase (rad)", 20e-6, "twilight", limits, f"{name}: intended phases")
    plots.image(line[1], 100 * power, "share of the light (%)", 20e-6, title="intensity on the detector")
    in_spot = np.asarray(spots)
    line[2].bar(range(12), 100 * (power / target.clip(1) ** 2)[in_spot], color=ORANGE)
    line[2].set(xlabel="spot (1)", ylabel="share of the light / target (%)", title="the twelve spots")
figure

# %% [markdown]
# ## Try it: even spots or bright ones?
#
# $\alpha$ weights the unevenness. Each point is a descent from the same start. The points do not lie on a smooth front:
# where the intended phase passes $2\pi$ the panel jumps back to 0. There the loss is discontinuous, and each descent ends
# in a local minimum of its own.

# %%
ALPHAS = (0.0, 0.3, 3.0) if FAST else (0.0, 0.05, 0.2, 1.0, 5.0)
front = [figures(real(jnp.exp(1j * descend(start, real, alpha)[0]))) for alpha in ALPHAS]


def plot_front(alpha=ALPHAS[1]):
    """Efficiency and uniformity for every weight, with one weight marked."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([100 * e for e, _ in front], [u for _, u in front], "o-", color=ORANGE)
    axes.plot(
        100 * front[ALPHAS.index(alpha)][0],
        front[ALPHAS.index(alpha)][1],
        "o",
        markersize=13,
        fillstyle="none",
        color="black",
    )
    axes.plot(100 * displayed[0], displayed[1], "s", color=BLUE)
    axes.annotate(
        "weighted\nGerchberg–Saxton",
        (100 * displayed[0], displayed[1]),
        (0, 8),
        textcoords="offset points",
        fontsize=9,
        ha="center",
    )
    axes.set(xlabel="light in the spots (%)", ylabel="uniformity (1)", title=f"α = {alpha:g}")
    axes.margins(x=0.25)
    axes.grid(alpha=0.3)
    return figure


plot_front()

# %%
_ = ipywidgets.interact(
    plot_front, alpha=ipywidgets.SelectionSlider(options=ALPHAS, value=ALPHAS[1], continuous_update=False)
)

# %% [markdown]
# ## Results

# %%
final = {name: figures(real(jnp.exp(1j * phase))) for name, ((phase, _), _) in RUNS.items()}
print(
    f"1. Weighted Gerchberg–Saxton is designed for a uniformity of {designed[1]:.3f}; the panel gives {displayed[1]:.3f}."
)
for i, (name, (efficiency, uniformity)) in enumerate(final.items(), 2):
    print(f"{i}. {name}: efficiency {efficiency:.1%}, uniformity {uniformity:.3f}.")


def zero_order(phase):
    """Share of the light in the middle pixel."""
    power = np.abs(np.asarray(real(jnp.exp(1j * phase)))) ** 2
    return float(power[N // 2, N // 2] / power.sum())


print(
    f"5. Crosstalk sends {zero_order(start):.1%} of the light of the classic pattern into the zero order, and"
)
print(f"   {zero_order(better):.1%} with gradient descent, whose model includes the crosstalk.")
print(
    f"6. With no weight on unevenness the spots hold {front[0][0]:.1%} of the light, with a uniformity of {front[0][1]:.3f}."
)
