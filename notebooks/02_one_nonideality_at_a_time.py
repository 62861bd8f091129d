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
# # One nonideality at a time
#
# **What does a single imperfection do to an optical transform, and which one matters?**
#
# A device is exact optics with a chain of effects on either side: those of the modulator act on light as it leaves, those
# of the camera on the detected intensity. Every effect is one function `(value, key) -> value`; with `key=None` it acts
# without noise. Over draws $E$ of the key, the error of a device splits into two parts with different cures,
#
# $$ \underbrace{E\,|\hat u - u|^2}_{\text{one draw}} \;=\; \underbrace{|E\,\hat u - u|^2}_{\text{systematic: calibrate}} \;+\;
# \underbrace{E\,|\hat u - E\,\hat u|^2}_{\text{random: average, or use more light}} . $$
#
# **To study another effect, change the one line that defines `effect`.** Everything below follows it.

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

import equinox as eqx
import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.simulator import budget
from optics import effects

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer draws, a shortened version

# %%
effect = effects.Crosstalk(effects.SuperGaussian(), response=effects.PhaseLUT(stretch=0.02))

# %% [markdown]
# The line above describes the fringing field of a liquid-crystal panel. Its electrodes are sharp and the field between
# them is not, so the phase of each pixel is blurred into its neighbours. The panel's range is 2 % more than a full turn.
#
# ## Its action on one value

# %%
plots.show(effect)

# %% [markdown]
# ## Its action on a transform
#
# An effect on light goes behind the modulator. The modulator here sets phases alone and encodes each number as two phases
# on a checkerboard (`DoublePhase`). An effect on intensities goes onto the frames of a camera with a stepped reference, any
# other one onto those of a coherent receiver. Two corrections come first, as in every experiment: the light of a
# modulator that shows zeros is measured once and subtracted, and one common factor is taken out.

# %%
SIDE = 8 if FAST else 16
DRAWS = 4 if FAST else 32


def device_with(effects, encoder=None, measurement=None):
    """Exact optics with these effects where they belong."""
    if all(isinstance(part, optics.effects.Modulation) for part in effects):
        bare = optics.FourierProcessor(
            optics.dft(SIDE), slm=effects, encoder=encoder or optics.encode.DoublePhase()
        )
        return optics.subtract_background(bare)
    detector = optics.PhaseShifting(4) if any(part.signed is False for part in effects) else optics.Coherent()
    return optics.FourierProcessor(optics.dft(SIDE), measurement or detector, camera=effects)


device = device_with((effect,))
plots.show(device)

# %% [markdown]
# ## Systematic or random?
#
# The same numbers, many draws of the noise. The error that all draws share is systematic; the rest is random.

# %%
a = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
exact = np.asarray(optics.dft(SIDE)(a))


@eqx.filter_jit
def draws(device, keys):
    """Transforms of the same numbers, one for each key, scaled so that their mean fits best."""
    results = jax.vmap(lambda key: device.transform(a, key))(keys)
    return results * real_factor(jnp.mean(results, 0))


def real_factor(result):
    """The common factor that brings a transform closest to the exact one."""
    return optics.metrics.best_factor(result, exact).real


def relative(error):
    """Root of the mean square, relative to the exact transform."""
    return float(np.sqrt(np.mean(np.abs(error) ** 2) / np.mean(np.abs(exact) ** 2)))


def split(device):
    """Relative error of one draw, its systematic part, its random part, and the draws."""
    results = np.asarray(draws(device, jax.random.split(jax.random.key(1), DRAWS)))
    random = relative(np.sqrt(np.sum(np.abs(results - results.mean(0)) ** 2, 0) / (DRAWS - 1)))
    total = relative(results - exact)
    # The random part is divided by the draws minus one: their mean still carries a share of the noise.
    return total, np.sqrt(max(total**2 - random**2, 0.0)), random, results


total, systematic, random, results = split(device)
figure = Figure(figsize=(11, 3.3), layout="constrained")
panels = figure.subplots(1, 3)
for axes, values, name in (
    (panels[0], np.abs(results.mean(0) - exact), "systematic: mean − exact"),
    (panels[1], results.std(0), "random: deviation of a draw"),
):
    picture = axes.imshow(values, cmap="viridis", vmin=0, vmax=max(float(values.max()), 1e-9))
    axes.set(xlabel="column (pixel)", ylabel="row (pixel)")
    axes.set_title(name, fontsize=10)
    figure.colorbar(picture, ax=axes, label="error (1)")
panels[2].bar(
    ["one draw", "systematic", "random"],
    [total, systematic, random],
    color=[plots.BLUE, plots.ORANGE, plots.GREEN],
)
panels[2].set(xlabel="part of the error", ylabel="relative RMS error (1)")
figure

# %% [markdown]
# ## How much of it comes from the encoding?
#
# The same effect behind another encoder, or another receiver. An imperfection is not a property of the panel or of the
# camera alone: its cost depends on the light that encodes the numbers and on the measurement.

# %%
if isinstance(effect, optics.effects.Modulation):
    others = {
        "amplitude and phase": device_with((effect,), optics.encode.ComplexAmplitude()),
        "double phase, pairs": device_with((effect,), optics.encode.DoublePhase("pair")),
        "double phase, checkerboard": device_with((effect,), optics.encode.DoublePhase()),
        "the same, exchanged and averaged": device_with((effect,), optics.encode.DoublePhase(exposures=2)),
    }
elif effect.signed:
    others = {"coherent receiver": device}
else:
    others = {
        name: device_with((effect,), measurement=measurement)
        for name, measurement in (
            ("balanced pairs", optics.Balanced()),
            ("offset", optics.Offset(1.5)),
            ("3 phase steps", optics.PhaseShifting(3)),
            ("4 phase steps", optics.PhaseShifting(4)),
        )
    }
compared = {name: split(other)[:3] for name, other in others.items()}
figure = Figure(figsize=(8, 1.4 + 0.5 * len(compared)), layout="constrained")
axes = figure.subplots()
for i, (part, colour) in enumerate((("systematic", plots.ORANGE), ("random", plots.GREEN))):
    axes.barh(
        np.arange(len(compared)) + 0.36 * i - 0.18,
        [v[i + 1] for v in compared.values()],
        height=0.34,
        color=colour,
        label=part,
    )
axes.set_yticks(range(len(compared)), labels=list(compared))
axes.invert_yaxis()
axes.set(xlabel="relative RMS error of one transform (1)", ylabel="encoder or measurement")
axes.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## What to improve: the gradient with respect to the effect
#
# A device is a pytree and the simulator is differentiable, so one backward pass gives the derivative of the systematic
# error with respect to every number of the effect. It is zero for numbers that only switch between steps, such as the
# bits of a converter.

# %%


@eqx.filter_jit
def slopes(device):
    """Mean square of the systematic error, and its derivatives with respect to the device."""

    def error(device):
        # The background depends on the effect, so measure it again.
        result = (optics.subtract_background(device) if device.slm else device).transform(a)
        return jnp.mean(jnp.abs(result * real_factor(result) - exact) ** 2)

    return eqx.filter_value_and_grad(error)(device)


value, slope = slopes(device)
chain = slope.slm + slope.camera
for path, leaf in jax.tree_util.tree_leaves_with_path(chain[0]):
    print(f"d(mean square error) / d(effect{jax.tree_util.keystr(path)}) = {float(jnp.sum(leaf)):+.3g}")

# %% [markdown]
# ## Try it: another draw

# %%


def plot_draw(number=0):
    """The device's transform of the same numbers with another draw of the noise."""
    return plots.show(device, key=jax.random.key(number), title=f"draw {number}")


_ = ipywidgets.interact(plot_draw, number=ipywidgets.IntSlider(0, min=0, max=20, continuous_update=False))
# %% [markdown]
# ## All of them: an error budget
#
# Real hardware has many effects at once. `budget` switches each effect of a device on alone, and off alone, in one
# compilation. If the squares of the errors add up, the effects are independent.

# %%
engine = optics.presets.load("engine11", level="ideal") if FAST else optics.presets.load("engine11")
x, kernel = jax.random.normal(jax.random.key(2), (2, 8, 11, 11))
exact_convolution = np.asarray(optics.convolve(x, kernel))
rows = budget.budget(
    lambda device, key: optics.convolve(x, kernel, device, key),
    engine,
    exact_convolution,
    jax.random.split(jax.random.key(3), 1 if FAST else 4),
)
plots.error_budget(rows, "engine11: relative error of one convolution")

# %% [markdown]
# ## Results

# %%
squares = np.abs(results.mean(0) - exact) ** 2
in_the_middle = float(squares[SIDE // 2, SIDE // 2] / squares.sum())
best, worst = min(compared, key=lambda k: compared[k][0]), max(compared, key=lambda k: compared[k][0])
all_effects, explained = rows[-1]["relative_rms_error"], rows[-1]["explained"]
costs = {row["condition"]: row["relative_rms_error"] for row in rows[:-1]}
print(
    f"1. {type(effect).__name__} costs a transform {total:.2%}: {systematic:.2%} systematic, {random:.2%} random."
)
print(
    f"2. One pixel of {SIDE * SIDE}, the zero order, holds {in_the_middle:.0%} of the systematic error's square:"
)
print("   light that all pixels share ends there.")
if best != worst:
    print(
        f"3. The same effect costs {compared[best][0]:.2%} with {best} and {compared[worst][0]:.2%} with {worst}."
    )
print(
    f"4. On engine11 the largest alone is {max(costs, key=costs.get)} ({max(costs.values()):.1%}). All together cost"
)
print(
    f"   {all_effects:.2%}, and in quadrature {explained:.2%}: on this device the effects are nearly independent."
)
