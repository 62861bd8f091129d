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
# # How coherent must my light be?
#
# **How wide may the line of my laser be, how large its source, how unequal the paths, and how well must its polarisation be
# set, before a convolution is off by one per cent?**
#
# Light that is not one plane wave is a sum of modes that do not interfere: wavelengths, points of the source,
# polarisations. Each passes the optics on its own, and detectors add up what the modes give,
#
# $$ I = \sum_m w_m\,|u_m + r_m|^2 , \qquad
#    V(\tau) = \Big|\sum_m w_m\, e^{-2\pi i (\nu_m - \nu)\tau}\Big| , $$
#
# with the visibility $V$ of fringes between two paths that differ by $c\,\tau$ (Born and Wolf, section 10.3). Two devices are
# asked here: `engine11`, whose receivers interfere light with a reference, and `led-correlator`, which takes powers alone.
# What counts is the part of the error that the light adds to that of the same device in a plane wave of one wavelength,
# without noise and after the best common factor.

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
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, GREEN, ORANGE
from optics import effects, light, metrics

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer values and a smaller engine, a shortened version
LIGHT_SPEED, NM, MRAD = 299_792_458.0, 1e-9, 1e-3
ALLOWED = 0.01  # of the result, rms

# %% [markdown]
# ## Path difference: lines of three sources
#
# A laser of one mode has a line of about 1 MHz, which is $8\times10^{-6}$ nm at 1.55 µm. A laser diode of several modes has
# one of about 2 nm, and a light-emitting diode of 60 nm.

# %%
pixels = 5 if FAST else 11
engine = optics.presets.load("engine11", pixels=pixels)
lens = optics.presets.load("engine11", pixels=pixels, level="wave").transfer
wavelength = float(lens.wavelength)
LINES = {"laser of one mode": 8e-6 * NM, "laser diode": 2 * NM, "light-emitting diode": 60 * NM}
colours = dict(zip(LINES, (BLUE, ORANGE, GREEN), strict=True))

figure = Figure(figsize=(6.5, 3.6), layout="constrained")
axes = figure.subplots()
half_visible = {}
for name, width in LINES.items():
    paths = np.linspace(0, 1.5, 400) * wavelength**2 / width
    visibility = np.asarray(light.visibility(light.line(wavelength, width, modes=33), paths / LIGHT_SPEED))
    half_visible[name] = np.interp(-0.5, -visibility, paths)
    axes.semilogx(1e3 * paths[1:], visibility[1:], color=colours[name], label=name)
axes.set(xlabel="path of the light less that of the reference (mm)", ylabel="visibility of fringes (1)")
axes.legend(frameon=False, fontsize=8)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# The receivers of `engine11` see no more of the field than interferes. A path difference dims what they read, and the same
# noise then weighs more. The points are the device in the light of the diode, the line is the visibility above.


# %%
x, w = jax.random.normal(jax.random.key(0), (2, 32, pixels, pixels))


@eqx.filter_jit
def convolve(device):
    return optics.convolve(x.astype(complex), w, device)


def with_transfer(transfer):
    return eqx.tree_at(lambda device: device.transfer, engine, transfer)


# Converters and receivers err in any light; what is asked here is what the light adds.
engine = engine.with_stages(slm=(), camera=())
coherent = convolve(engine)


def added_error(device):
    """RMS of what the light changes in a convolution, relative, after the best common factor."""
    result = convolve(device)
    return float(metrics.relative_error(metrics.best_factor(result, coherent) * result, coherent))


diode = light.line(wavelength, LINES["laser diode"], modes=9)
in_diode = optics.compile_transfer(optics.illuminate(lens, diode))
paths = np.linspace(0, 1.0, 9) * wavelength**2 / LINES["laser diode"]
contrast = []
for path in paths:
    phases = optics.illuminate(lens, diode, path_difference=path).phases
    transfer = optics.Modal(in_diode.transfer, in_diode.weights, phases)
    # A convolution passes the light twice, and the product of spectra is of two fields: a cube of the contrast.
    factor = abs(metrics.best_factor(coherent, convolve(with_transfer(transfer))))
    contrast.append(float(factor) ** (1 / 3))
expected = np.asarray(light.visibility(diode, paths / LIGHT_SPEED))

figure = Figure(figsize=(6.5, 3.6), layout="constrained")
axes = figure.subplots()
axes.plot(1e3 * paths, expected, color=ORANGE, label="visibility of the diode's fringes")
axes.plot(1e3 * paths, contrast, "o", color=BLUE, label="field that engine11 reads, over that of one wave")
axes.set(xlabel="path of the light less that of the reference (mm)", ylabel="contrast (1)")
axes.legend(frameon=False, fontsize=8)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Line width, paths equal
#
# A lens makes a spectrum whose size is proportional to the wavelength. A wide line blurs it, most at the edge.

# %%
widths = np.array([30.0, 100.0]) if FAST else np.array([10.0, 25.0, 50.0, 100.0])


@eqx.filter_jit
def compile_line(width):
    return optics.compile_transfer(optics.illuminate(lens, light.line(wavelength, width, modes=5)))


of_width = [added_error(with_transfer(compile_line(jnp.asarray(NM * width)))) for width in widths]

led_widths = np.array([17.0]) if FAST else np.array([5.0, 10.0, 17.0])
a, b = jax.random.uniform(jax.random.key(1), (2, 4, 16, 16))
correlate = jax.jit(lambda device: optics.convolve(a - a.mean(), b - b.mean(), device))
one_wave = correlate(optics.presets.load("led-correlator", line_width=0.0, modes=1))
of_led = []
for width in led_widths:
    result = correlate(optics.presets.load("led-correlator", line_width=NM * width))
    factor = metrics.best_factor(result, one_wave)
    of_led.append(float(metrics.relative_error(factor * result, one_wave)))

# %% [markdown]
# ## Size of the source, and polarisation
#
# Every point of the source has a spectrum of its own place. The size is an angle: that of the source behind its collimator.
# $\lambda$ over the side of the array moves the spectrum by one pixel. A liquid crystal modulates the light along its
# director. The rest passes as it is; light and reference are both turned by the same angle here.

# %%
unit = wavelength / (pixels * float(lens.pitch))
sizes = (np.array([0.3]) if FAST else np.array([0.05, 0.15, 0.3])) * unit / MRAD


@eqx.filter_jit
def compile_source(radius):
    source = light.disc(wavelength, radius, rings=2, spokes=6)
    return optics.compile_transfer(optics.illuminate(lens, source))


of_size = [added_error(with_transfer(compile_source(jnp.asarray(MRAD * size)))) for size in sizes]

angles = np.linspace(0.5, 8, 4 if FAST else 16)


def turn(angle):
    return engine.with_stages(slm=(effects.ParallelAligned(np.deg2rad(angle), np.deg2rad(angle)),))


of_angle = [added_error(turn(angle)) for angle in angles]
subtracted = [added_error(turn(angle).subtract_background()) for angle in angles]

figure = Figure(figsize=(13, 3.8), layout="constrained")
left, middle, right = figure.subplots(1, 3)
left.loglog(widths, of_width, "o-", color=BLUE, label=f"engine11, {1e9 * wavelength:.0f} nm")
left.loglog(led_widths, of_led, "s-", color=GREEN, label="led-correlator, 625 nm")
left.set(xlabel="line width, full width at half maximum (nm)")
middle.loglog(sizes, of_size, "o-", color=BLUE, label="engine11")
middle.set(xlabel="radius of the source (mrad)")
right.semilogy(angles, of_angle, color=BLUE, label="engine11")
right.semilogy(angles, subtracted, color=ORANGE, label="engine11, background subtracted")
right.set(xlabel="polarisation off the director (°)")
for axes in (left, middle, right):
    axes.axhline(ALLOWED, color="0.5", linewidth=0.8)
    axes.set(ylabel="error that it adds to a convolution, rms (1)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## What one per cent takes


# %%
def allowed(values, errors):
    """The value at which an error that grows reaches what is allowed, as text."""
    if not min(errors) <= ALLOWED <= max(errors):
        return f"more than {max(values):.2g}" if max(errors) < ALLOWED else f"less than {min(values):.2g}"
    return f"{np.exp(np.interp(np.log(ALLOWED), np.log(errors), np.log(values))):.2g}"


print(
    f"Half of the contrast is left at a path difference of {half_visible['laser of one mode']:.0f} m (laser),"
)
print(
    f"   {1e3 * half_visible['laser diode']:.2g} mm (laser diode) and "
    f"{1e6 * half_visible['light-emitting diode']:.2g} µm (light-emitting diode)."
)
print(f"   The engine reads what the fringes show, to {np.max(np.abs(contrast - expected)):.1e}.")
print(f"1 % of error: line width of {allowed(widths, of_width)} nm for engine11 with equal paths,")
print(
    f"   {allowed(led_widths, of_led)} nm for led-correlator, whose 17 nm add {np.interp(17.0, led_widths, of_led):.1%};"
)
print(
    f"   source of radius {allowed(sizes, of_size)} mrad for engine11, where λ / array is {unit / MRAD:.2g} mrad;"
)
print(
    f"   polarisation off by {allowed(angles, of_angle)}°; with the background subtracted, {allowed(angles, subtracted)}°."
)
