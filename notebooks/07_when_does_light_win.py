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
# # The ledger: when does light cost less?
#
# **A lens transforms for free. At which size, and under which assumptions, does an optical convolution cost less than an
# electronic one?**
#
# The transform is free, but its numbers are not: a digital-to-analogue converter writes each one, an analogue-to-digital
# converter reads it, a memory keeps it, and a local oscillator amplifies its light. Electronics pays for arithmetic
# instead, $5 N \log_2 N$ operations for a transform of $N$ complex numbers. Light costs less where
#
# $$ N \cdot E_{\text{number}} + E_{\text{exposure}} < 5\, N \log_2(N)\, E_{\text{flop}} ,
#    \quad\text{about}\quad N > 2^{\,E_{\text{number}} / (5 E_{\text{flop}})} . $$
#
# The exponent makes this question hard: a factor of two in the energy of a number *squares* the necessary size.

# %%
# Colab lacks the package: there this cell installs it, and anywhere else it does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("optics") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "lensformer[lab]"], check=True)

# %%
# %matplotlib inline
import math
import os

import ipywidgets
import jax
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from optics import accounting

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer planes, a shortened version

# %% [markdown]
# ## One convolution on an engine of 11×11
#
# Exposures and conversions are *counted* in the traced program; energies are *assumed*, each with a range and a source.

# %%
device = optics.presets.load("engine11", level="ideal")  # the lens has no price
costs = accounting.hardware("integrated")
ledger = optics.ledger(device, (11, 11), (11, 11), costs)
print(ledger)
print("\nassumed:")
for name, cost in costs.items():
    guess = "  a guess" if cost.guess else ""
    print(f"  {name:18s} {cost.value:.3g} {cost.unit}  [{cost.low:.3g} … {cost.high:.3g}]{guess}")

# %% [markdown]
# ## Where the energy goes
#
# Bars are energies at the assumed values; whiskers run from all assumptions at their cheapest to all at their dearest.

# %%
terms = {
    name: values
    for name, values in sorted(ledger.terms.items(), key=lambda item: -item[1][0])
    if values[0] > 1e-3 * ledger.joules
}
figure = Figure(figsize=(8, 0.9 + 0.42 * len(terms)), layout="constrained")
axes = figure.subplots()
values = 1e9 * np.array(list(terms.values()))
axes.barh(range(len(terms)), values[:, 0], color=BLUE, height=0.6)
axes.errorbar(
    values[:, 0],
    range(len(terms)),
    xerr=[values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]],
    fmt="none",
    ecolor="0.3",
    capsize=3,
)
axes.set_yticks(range(len(terms)), labels=list(terms))
axes.invert_yaxis()
axes.set(xscale="log", xlabel="energy of one 11×11 convolution (nJ)", ylabel="cause")
axes.grid(axis="x", alpha=0.3)
figure

# %% [markdown]
# ## Break-even
#
# Energy for each complex number of a transform: electronics grows with $\log_2 N$, light hardly depends on $N$. To the right
# of a crossing with a dashed line, light costs less. Light pays all that the ledger above counts, with converters of several
# publications; electronics pays for arithmetic alone, at its peak rate.

# %%
sets = accounting.converters()
electronics = accounting.electronics()


def costs_with(name, bound="value"):
    """Costs of the engine with a set of converters, at their assumed values, or the ends of their range."""
    energies = {f"{part}_energy": getattr(assumption, bound) for part, assumption in sets[name].items()}
    return accounting.hardware("integrated", **energies)


def energy_of_number(costs, numbers):
    """Joules of a complex number: two written, two read, and its share of the exposure."""
    of_number = accounting.price(accounting.Counts(0, 2, 2), costs).joules
    return of_number + accounting.price(accounting.Counts(1, 0, 0), costs).joules / numbers


COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)


def plot_crossing(picojoule=0.0):
    """The crossing of electronics and light, with a converter of your choice."""
    numbers = np.logspace(0.5, 9, 200)
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, (name, per_flop) in zip(COLOURS, electronics.items(), strict=False):
        axes.loglog(numbers, 5e12 * np.log2(numbers) * per_flop.value, color=colour, label=f"FFT on {name}")
    for name in sets:
        energy = 1e12 * energy_of_number(costs_with(name), numbers)
        axes.loglog(numbers, energy, color="0.35", linestyle="--", linewidth=1)
        axes.annotate(
            name,
            (1.005, energy[-1]),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="top" if name.startswith("Albireo") else "bottom",
        )
    if picojoule:
        free = dict.fromkeys(("modulator_energy", "adc_energy", "receiver_energy"), 0.0)
        chosen = accounting.hardware("integrated", dac_energy=picojoule * 1e-12, **free)
        label = f"light, converters of {picojoule:g} pJ for a real number"
        axes.loglog(numbers, 1e12 * energy_of_number(chosen, numbers), color=RED, linewidth=2, label=label)
    axes.set(xlabel="complex numbers in a transform, N (1)", ylabel="energy of a complex number (pJ)")
    axes.legend(fontsize=8, loc="upper left", ncols=2, framealpha=0.9)
    axes.grid(alpha=0.3)
    axes.set_ylim(0.3, 2e4)
    return figure


plot_crossing(1.0)

# %%
_ = ipywidgets.interact(
    plot_crossing, picojoule=ipywidgets.FloatLogSlider(1.0, min=-2, max=2, step=0.25, continuous_update=False)
)

# %% [markdown]
# ## How certain is it?
#
# The size from which light costs less, for every pair of converter and electronics, with the range of published values of
# the converter. Where a bar spans many decades, nobody knows.

# %%
pairs = [(c, e) for e in electronics for c in sets]
figure = Figure(figsize=(9, 0.8 + 0.36 * len(pairs)), layout="constrained")
axes = figure.subplots()
MOST = 1e15
crossings = {}
for i, (c, e) in enumerate(pairs):
    low, value, high = (
        min(accounting.break_even_pixels(costs_with(c, bound), electronics[e].value), MOST)
        for bound in ("low", "value", "high")
    )
    crossings[c, e] = (low, value, high)
    colour = COLOURS[list(electronics).index(e)]
    axes.plot([low, high], [i, i], color=colour, linewidth=6, alpha=0.4, solid_capstyle="butt")
    axes.plot(value, i, "o", color=colour)
axes.axvline(121, color="0.4", linestyle="--", linewidth=1)
axes.annotate("11×11", (121, -0.8), fontsize=9, ha="center", annotation_clip=False)
axes.axvline(2**20, color="0.4", linestyle="--", linewidth=1)
axes.annotate("1,024×1,024", (2**20, -0.8), fontsize=9, ha="center", annotation_clip=False)
axes.set_yticks(range(len(pairs)), labels=[f"{c} / {e}" for c, e in pairs], fontsize=8)
axes.invert_yaxis()
axes.set(
    xscale="log",
    xlabel="complex numbers from which light costs less (1); the axis ends at 10¹⁵",
    ylabel="converters / electronics",
)
axes.set_xlim(1, 2 * MOST)
axes.grid(axis="x", alpha=0.3)
figure

# %% [markdown]
# ## The cost of precision
#
# Photons cost little beside converters, and they give bits: relative shot noise falls with the square root of their number.
# Beyond some point the converters set the error, and more light has no effect.

# %%
photons = np.logspace(2, 7, 4 if FAST else 9)
planes = jax.random.normal(jax.random.key(0), (2, 4 if FAST else 24, 11, 11))
exact = optics.convolve(*planes)


def bits(photons):
    """Effective bits with this number of photons in a full-scale pixel, for one draw of the noise."""
    engine = optics.presets.load("engine11", level="ideal", photons=photons)
    result = optics.convolve(*planes, engine, jax.random.key(1))
    return optics.metrics.effective_bits(float(optics.metrics.relative_error(result, exact)))


effective_bits = [bits(float(n)) for n in photons]
figure = Figure(figsize=(6.5, 3.4), layout="constrained")
axes = figure.subplots()
axes.semilogx(photons, effective_bits, "o-", color=ORANGE)
axes.set(
    xlabel="photons of a full-scale pixel in a frame (1)", ylabel="effective bits of a convolution (bit)"
)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## A fixed kernel
#
# A fixed filter is written once. Then light competes with the direct sum over the taps, and their number decides.

# %%
taps = {
    (c, e): accounting.break_even_taps(costs_with(c), 2 * electronics[e].value, pixels=121)
    for e in electronics
    for c in sets
}
for (c, e), count in sorted(taps.items(), key=lambda item: item[1]):
    side = math.sqrt(count)
    print(f"{c:28s} against {e:16s}: from {count:10.3g} taps, a kernel of {side:.0f}×{side:.0f}")

# %% [markdown]
# ## Results

# %%
against = "GPU, BF16"
fft = 3 * accounting.fft_flops(121, real=True) * electronics[against].value
counts = accounting.Counts(ledger.exposures, ledger.dac, ledger.adc)
size = accounting.break_even_pixels(costs, electronics[against].value, counts, 121, transforms=3, real=True)
cheapest, dearest = (extreme(sets, key=lambda c: crossings[c, against][1]) for extreme in (min, max))
spans = {pair: high / low for pair, (low, _, high) in crossings.items()}
widest = max(spans, key=spans.get)
joules = f"{ledger.joules * 1e9:.1f} nJ ({ledger.low * 1e9:.2g} to {ledger.high * 1e9:.2g})"
print(
    f"1. One 11×11 convolution takes {ledger.exposures} exposures and {joules}, {ledger.conversion:.0%} of it conversion."
)
print(
    f"   The three transforms in electronics take {fft * 1e9:.2g} nJ. Light transforms for free; the numbers cost."
)
print(f"   By the same ledger such a convolution costs less by light from planes of {size:,.0f} numbers on.")
print(f"2. Of transforms of complex numbers, against {against}, light costs less from")
print(
    f"   {crossings[cheapest, against][1]:.3g} numbers with {cheapest}, from {crossings[dearest, against][1]:.3g} with {dearest}."
)
print(
    f"3. The published range of {widest[0]} leaves the crossing against {widest[1]} open by a factor of {spans[widest]:.1g} or"
)
print("   more. So the answer depends on converters, memory and electronics, hardly on optics.")
gain, last_gain = effective_bits[-1] - effective_bits[0], effective_bits[-1] - effective_bits[-2]
print(
    f"4. From {photons[0]:.0e} to {photons[-1]:.0e} photons a convolution gains {gain:.1f} bits, {last_gain:.1f} of them in the"
)
print("   last step, where the converters set the error.")
