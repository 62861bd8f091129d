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
# A device is exact optics with a chain of effects on either side: those of the modulator act on light as it leaves, those of
# the camera on what is detected. Every effect is one function `(value, key) -> value`; with `key=None` it gives the
# expected value. So the error of a device splits into two parts that want different cures,
#
# $$ \underbrace{E\,|\hat u - u|^2}_{\text{one shot}} \;=\; \underbrace{|E\,\hat u - u|^2}_{\text{systematic: calibrate it}} \;+\;
# \underbrace{E\,|\hat u - E\,\hat u|^2}_{\text{random: average it, or bring more light}} . $$
#
# **To study another effect, change the one line that defines `effect`**; everything below follows it.

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

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer shots, for a quick look

# %%
effect = optics.effects.Crosstalk(
    optics.effects.SuperGaussian(), response=optics.effects.PhaseLUT(stretch=0.02)
)

# %% [markdown]
# The line above describes the fringing field of a liquid-crystal panel: electrodes are sharp, the field between them is not, so
# the phase of each pixel is blurred into its neighbours; and the panel's range is 2 % more than a whole turn.
#
# ## What it does to one value

# %%
plots.show(effect)

# %% [markdown]
# ## What it does to a transform
#
# An effect on light goes behind the modulator, which here sets phases alone and shows each number as two phases on a
# checkerboard (`DoublePhase`); an effect on intensities goes onto the frames of a camera with a stepped reference, any
# other one onto those of a coherent receiver. What every bench sets first is set here too: the light of a modulator that
# shows zeros is measured once and subtracted, and one common factor is taken out.

# %%
SIDE = 8 if FAST else 16
SHOTS = 4 if FAST else 32


def device_with(effects, encoder=None, measurement=None):
    """Exact optics with these effects where they belong."""
    if all(isinstance(one, optics.effects.Modulation) for one in effects):
        bare = optics.FourierProcessor(
            optics.dft(SIDE), slm=effects, encoder=encoder or optics.encode.DoublePhase()
        )
        return optics.subtract_background(bare)
    camera = optics.PhaseShifting(4) if any(one.signed is False for one in effects) else optics.Coherent()
    return optics.FourierProcessor(optics.dft(SIDE), measurement or camera, camera=effects)


device = device_with((effect,))
plots.show(device)

# %% [markdown]
# ## Systematic or random?
#
# The same numbers, many shots. What all shots share is systematic; the rest is chance.

# %%
a = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
exact = np.asarray(optics.dft(SIDE)(a))


@eqx.filter_jit
def shots(device, keys):
    """Transforms of the same numbers, one a key, in units that make their mean fit best."""
    found = jax.vmap(lambda key: device.transform(a, key))(keys)
    return found * best_factor(jnp.mean(found, 0))


def best_factor(found):
    """The common factor that brings a transform closest to the exact one."""
    return jnp.vdot(found, exact).real / jnp.vdot(found, found).real


def relative(error):
    """Root of the mean square, relative to the exact transform."""
    return float(np.sqrt(np.mean(np.abs(error) ** 2) / np.mean(np.abs(exact) ** 2)))


def split(device):
    """Relative error of one shot, and its systematic and its random part."""
    found = np.asarray(shots(device, jax.random.split(jax.random.key(1), SHOTS)))
    random = relative(np.sqrt(np.sum(np.abs(found - found.mean(0)) ** 2, 0) / (SHOTS - 1)))
    one = relative(found - exact)
    # The mean of so many shots still carries its share of the chance.
    return one, np.sqrt(max(one**2 - random**2, 0.0)), random, found


one, systematic, random, found = split(device)
figure = Figure(figsize=(11, 3.3), layout="constrained")
panels = figure.subplots(1, 3)
for axes, values, name in (
    (panels[0], np.abs(found.mean(0) - exact), "systematic: mean − exact"),
    (panels[1], found.std(0), "random: deviation of a shot"),
):
    shown = axes.imshow(values, cmap="viridis", vmin=0, vmax=max(float(values.max()), 1e-9))
    axes.set(xlabel="column (pixel)", ylabel="row (pixel)")
    axes.set_title(name, fontsize=10)
    figure.colorbar(shown, ax=axes, label="error (1)")
panels[2].bar(
    ["one shot", "systematic", "random"],
    [one, systematic, random],
    color=[plots.scale.BLUE, plots.scale.ORANGE, plots.scale.GREEN],
)
panels[2].set(xlabel="part of the error", ylabel="relative RMS error (1)")
figure

# %% [markdown]
# ## How much of it is the way the numbers are shown?
#
# The same effect behind another encoder, or another receiver. An imperfection is not a property of the panel or of the camera
# alone: what it costs depends on what is shown and how it is read.

# %%
if isinstance(effect, optics.effects.Modulation):
    others = {
        "amplitude and phase": device_with((effect,), optics.encode.ComplexAmplitude()),
        "double phase, pairs": device_with((effect,), optics.encode.DoublePhase("pair")),
        "double phase, checkerboard": device_with((effect,), optics.encode.DoublePhase()),
        "the same, exchanged and averaged": device_with((effect,), optics.encode.DoublePhase(frames=2)),
    }
elif effect.signed:
    others = {"coherent receiver": device}
else:
    others = {
        f"{type(m).__name__}{getattr(m, 'steps', '')}": device_with((effect,), measurement=m)
        for m in (optics.Balanced(), optics.Offset(1.5), optics.PhaseShifting(3), optics.PhaseShifting(4))
    }
compared = {name: split(other)[:3] for name, other in others.items()}
figure = Figure(figsize=(8, 1.4 + 0.5 * len(compared)), layout="constrained")
axes = figure.subplots()
for i, (part, colour) in enumerate((("systematic", plots.scale.ORANGE), ("random", plots.scale.GREEN))):
    axes.barh(
        np.arange(len(compared)) + 0.36 * i - 0.18,
        [v[i + 1] for v in compared.values()],
        height=0.34,
        color=colour,
        label=part,
    )
axes.set_yticks(range(len(compared)), labels=list(compared))
axes.invert_yaxis()
axes.set(xlabel="relative RMS error of one transform (1)", ylabel="shown or read as")
axes.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## What to improve: the gradient with respect to the effect
#
# A device is a pytree and the simulator is differentiable, so one backward pass tells how the systematic error changes with
# every number of the effect. Numbers that only switch between steps (the bits of a converter) have none.

# %%


@eqx.filter_jit
def slopes(device):
    """Mean square of the systematic error, and its derivatives with respect to the device."""

    def error(device):
        # The light of zeros is another one when the effect is.
        found = (optics.subtract_background(device) if device.slm else device).transform(a)
        return jnp.mean(jnp.abs(found * best_factor(found) - exact) ** 2)

    return eqx.filter_value_and_grad(error)(device)


value, slope = slopes(device)
chain = slope.slm + slope.camera
found_slopes = [
    (jax.tree_util.keystr(path), float(jnp.sum(leaf)))
    for path, leaf in jax.tree_util.tree_leaves_with_path(chain[0])
]
for name, number in found_slopes:
    print(f"d(mean square error) / d(effect{name}) = {number:+.3g}")

# %% [markdown]
# ## A knob: another shot

# %%


def shot(number=0):
    """The device's picture of the same numbers in another shot."""
    return plots.show(device, key=jax.random.key(number), title=f"shot {number}")


_ = ipywidgets.interact(shot, number=ipywidgets.IntSlider(0, min=0, max=20, continuous_update=False))
# %% [markdown]
# ## All of them: an error budget
#
# A real bench has many at once. `bench.budget` switches each effect of a device on alone, and each off alone, in one
# compilation. If the squares of the errors add up, the imperfections do not know of each other.

# %%
engine = optics.presets.load("engine11", level="ideal") if FAST else optics.presets.load("engine11")
x, kernel = jax.random.normal(jax.random.key(2), (2, 8, 11, 11))
wanted = np.asarray(optics.convolve(x, kernel))
rows = budget.budget(
    lambda device, key: optics.convolve(x, kernel, device, key),
    engine,
    wanted,
    jax.random.split(jax.random.key(3), 1 if FAST else 4),
)
plots.error_budget(rows, "engine11: relative error of one convolution")

# %% [markdown]
# ## What was learnt

# %%
squares = np.abs(found.mean(0) - exact) ** 2
in_the_middle = float(squares[SIDE // 2, SIDE // 2] / squares.sum())
best, worst = min(compared, key=lambda k: compared[k][0]), max(compared, key=lambda k: compared[k][0])
total, explained = rows[-1]["relative_rms_error"], rows[-1]["explained"]
costs = {row["condition"]: row["relative_rms_error"] for row in rows[:-1]}
print(
    f"1. {type(effect).__name__} costs a transform {one:.2%}: {systematic:.2%} of it systematic, {random:.2%} random."
)
print(
    f"2. {in_the_middle:.0%} of the systematic error's square is in one pixel of {SIDE * SIDE}, the zero order, where everything that"
)
print("   all pixels share is gathered.")
if best != worst:
    print(
        f"3. The same effect costs {compared[best][0]:.2%} with {best} and {compared[worst][0]:.2%} with {worst}."
    )
print(
    f"4. On engine11 the largest alone is {max(costs, key=costs.get)} ({max(costs.values()):.1%}); all together cost {total:.2%},"
)
print(
    f"   and errors added in quadrature would cost {explained:.2%}: on this device they hardly know of each other."
)
