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
# # From light to a convolution
#
# **How does light compute a convolution, and how exactly?**
#
# A convolution is a product of spectra,
#
# $$ y = F^{-1}\left[\, F x \cdot F w \,\right], $$
#
# and a lens makes a spectrum: of a field $u$ in its front focal plane it makes, in its back focal plane, the field
#
# $$ u_f(x) = \frac{1}{i \lambda f} \int u(\xi)\, e^{-2\pi i\, \xi x / (\lambda f)}\, d\xi . $$
#
# This notebook follows numbers onto a modulator, through free space and glass, onto a camera, and back to numbers. Wave
# optics computes every step, and every step is compared with its exact result.

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

import equinox as eqx
import ipywidgets
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import optics
from bench import plots

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer pixels, a shortened version

# %% [markdown]
# ## Numbers on a modulator
#
# Eleven by eleven numbers: a letter without symmetry, so that a reversed image is noticed. Each number becomes the
# amplitude of one square pixel. The gaps between the pixels are dark, because half of each side of a pixel is
# electronics.

# %%
N = 7 if FAST else 11
letter = np.zeros((N, N), np.float32)
letter[1 : N - 1, 2] = letter[1, 2 : N - 2] = letter[N // 2, 2 : N - 3] = 1
lens = optics.FourierLens(N, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5, oversampling=8)
plots.show(lens)

# %% [markdown]
# The drawing is to scale along the axis and across it. Light of one direction meets in one point of the detector,
# whichever pixel it comes from: that is the transform. The pixels fix the focal length. Samples of a discrete transform
# lie at $\lambda f/(N \cdot \mathrm{pitch})$, and they fall on the pixels of the detector if that equals the pitch:
# $f = N \cdot \mathrm{pitch}^2 / \lambda$.

# %% [markdown]
# ## Through space and glass
#
# Free space multiplies every plane wave by its own phase (the *angular spectrum*), a lens multiplies the field by a
# quadratic phase. We compute the light on the modulator, in front of the lens, behind it, and on the detector.

# %%
dx = float(lens.pitch) / lens.oversampling
plane = (lens.plane, lens.plane)
open_area = np.asarray(optics.wave.pixel_apertures(lens.plane, N, lens.oversampling, lens.fill))
u = [open_area @ letter @ open_area.T]
u.append(optics.wave.angular_spectrum(u[0] + 0j, dx, lens.wavelength, lens.focal_length))
glass = optics.wave.lens(plane, dx, lens.wavelength, lens.focal_length) * optics.wave.aperture(
    plane, dx, lens.pupil_radius
)
u.append(u[1] * glass)
u.append(optics.wave.angular_spectrum(u[2], dx, lens.wavelength, lens.focal_length))

# %%
middle = slice(lens.plane // 2 - 8 * N, lens.plane // 2 + 8 * N)
plots.field(u[0][middle, middle], dx, "on the modulator")

# %%
plots.field(
    u[2][middle, middle], dx, "behind the lens: the light has spread, and the lens has curved its phase"
)

# %%
plots.field(
    u[3][middle, middle],
    dx,
    "on the detector: the Fourier transform, one copy for each order of the pixel grid",
)

# %% [markdown]
# The detector shows more than one transform: a grid of pixels is a grating, and each of its orders carries a copy,
# dimmed by the spectrum of one pixel (a sinc). The detector's $N \times N$ pixels lie over the middle copy. Each
# averages the field over its own open square:

# %%
detected = np.asarray(lens(jnp.asarray(letter)))
exact = np.asarray(optics.dft(N)(jnp.asarray(letter)))


def error(result, exact):
    """Relative RMS error after the best common factor, which every experiment sets first."""
    factor = optics.metrics.best_factor(result, exact)
    return float(optics.metrics.relative_error(factor * jnp.asarray(result), exact))


optics_error = error(detected, exact)
print(f"optics against the exact transform: relative RMS error {optics_error:.2%}")

# %% [markdown]
# ## Compile once, apply often
#
# Propagation is linear. Everything between modulator and detector is therefore one matrix from $N^2$ pixels to $N^2$
# pixels. Computing it once is no approximation: in a real machine, too, the glass does not change from one image to the
# next.

# %%
transfer = optics.compile_transfer(lens)
plots.show(transfer)

# %%
letters = jnp.asarray(np.random.default_rng(0).normal(size=(16, N, N)), jnp.float32)
propagate, multiply = jax.jit(lambda a: jax.vmap(lens)(a)), jax.jit(lambda a: transfer(a))
difference = float(optics.metrics.relative_error(multiply(letters), propagate(letters)))


def seconds(call):
    """Shortest of five calls."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(call(letters))
        times.append(time.perf_counter() - start)
    return min(times)


speedup = seconds(propagate) / seconds(multiply)
print(
    f"compiled and full propagation differ by {difference:.1e}; the matrix is {speedup:.0f} times as fast here"
)

# %% [markdown]
# The deviation on the right has a pattern: the middle is too bright and the corners are too dark, with rings where the
# common factor happens to fit. That is the *sinc*: a square pixel sends less light to the side, and a square receiver
# collects less from there. Both belong to single pixels, so one gain for each pixel of the modulator and of the
# detector takes them out (`optics.calibrate`). The rest belongs to pairs of pixels, and no gain can correct it.

# %%
bare = optics.FourierProcessor(transfer)
calibrated = optics.calibrate(bare)
gains_error = error(calibrated.transform(jnp.asarray(letter)), exact)
with_matrix = optics.calibrate(bare, compensation="matrix")
matrix_error = error(with_matrix.transform(jnp.asarray(letter)), exact)

figure = Figure(figsize=(9.5, 3.4), layout="constrained")
for axes, device, name in zip(
    figure.subplots(1, 2), (bare, calibrated), ("uncalibrated", "with a gain for each pixel"), strict=True
):
    amplitudes = np.abs(np.asarray(device.transform(jnp.eye(N * N).reshape(-1, N, N)).reshape(N * N, -1).T))
    line = amplitudes[:, (N // 2) * N + N // 2].reshape(N, N)[N // 2]
    axes.plot(np.arange(N) - N // 2, line / line[N // 2], "o-")
    axes.set(
        xlabel="detector pixel, middle row (1)",
        ylabel="amplitude relative to the middle (1)",
        title=name,
        ylim=(0, 1.1),
    )
    axes.grid(alpha=0.3)
figure.suptitle("the middle pixel of the modulator alone: its transform should be flat")
figure

# %% [markdown]
# ## A camera sees no phase
#
# Detectors measure intensity, $|u|^2$, and lose half of the result. *Phase-shifting interferometry* adds a reference
# beam whose phase is stepped. From the four frames
#
# $$ I_d = \left| u + r\, i^{\,d} \right|^2, \qquad u = \frac{(I_0 - I_2) + i\,(I_1 - I_3)}{4 r} $$
#
# the field follows from differences, in which $|u|^2$ cancels.

# %%
four = optics.PhaseShifting(4)
unit_field = detected / np.abs(detected).max()
frames = four.frames(jnp.asarray(unit_field))
plots.frames(frames, float(lens.pitch), "four frames of the same field with a stepped reference")

# %%
interference_error = error(four.field(frames), unit_field)
print(f"field from four frames: relative error {interference_error:.1e}, which is rounding")

# %% [markdown]
# ## Two transforms and a product: a convolution
#
# The lens only transforms forward, but conjugation reverses it: $F^{-1} P = \overline{F\, \overline{P}}$. An engine
# therefore makes three passes (of $x$, of $w$, of the conjugated product). `engine11` is such a machine, with converters
# of 8 and 10 bits, photon noise, and noise of the receivers.

# %%
device = optics.presets.load("ideal", pixels=(N, N)) if FAST else optics.presets.load("engine11")
x = jnp.asarray(letter)
# Differences to the right and below, at the origin of the kernel: its first pixel.
w = jnp.zeros((N, N)).at[0, 0].set(2.0).at[0, 1].set(-1.0).at[1, 0].set(-1.0)
by_light = optics.convolve(x, w, device, jax.random.key(0))
by_hand = 2 * letter - np.roll(letter, 1, axis=1) - np.roll(letter, 1, axis=0)
draw_error = float(optics.metrics.relative_error(by_light, by_hand))
mean_error = float(optics.metrics.relative_error(optics.convolve(x, w, device), by_hand))

figure = Figure(figsize=(11, 3.2), layout="constrained")
largest = float(np.abs(by_hand).max())
for axes, values, name in zip(
    figure.subplots(1, 3),
    (by_hand, by_light, by_light - by_hand),
    ("summed tap by tap", "by light, one draw of noise", "difference"),
    strict=True,
):
    limit = largest if name != "difference" else float(np.abs(values).max())
    picture = axes.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
    figure.colorbar(picture, ax=axes, label="y (1)")
    axes.set(xlabel="column (pixel)", ylabel="row (pixel)", title=name)
figure

# %% [markdown]
# ## Try it: how carefully must the detector be placed?
#
# Move the detector out of the focal plane. `FourierLens` is a pytree and `compile_transfer` an ordinary function, so all
# positions of the detector take one compilation.

# %%
small = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5, plane=340)
good = optics.compile_transfer(small)
picture = jnp.asarray(np.random.default_rng(1).normal(size=(5, 5)), jnp.float32)


@jax.jit
def transform_at(defocus):
    """Transform of the picture with the detector `defocus` metres behind the focal plane."""
    return optics.compile_transfer(eqx.tree_at(lambda s: s.defocus, small, defocus))(picture)


def plot_error(millimetres=0.0):
    """Error against the position of the detector, with one position marked."""
    places = np.linspace(-2, 2, 5 if FAST else 17)
    errors = [error(transform_at(jnp.asarray(z * 1e-3, jnp.float32)), good(picture)) for z in places]
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(places, errors)
    axes.plot(
        millimetres,
        error(transform_at(jnp.asarray(millimetres * 1e-3, jnp.float32)), good(picture)),
        "o",
        markersize=9,
    )
    axes.set(xlabel="detector behind the focal plane (mm)", ylabel="relative RMS error (1)")
    axes.set_title(f"5×5 pixels, f = {float(small.focal_length) * 1e3:.1f} mm", fontsize=10)
    axes.grid(alpha=0.3)
    return figure


plot_error(0.5)

# %%
_ = ipywidgets.interact(
    plot_error, millimetres=ipywidgets.FloatSlider(0.5, min=-2, max=2, step=0.1, continuous_update=False)
)
# %% [markdown]
# ## Results

# %%
place_error = error(transform_at(jnp.asarray(1e-3, jnp.float32)), good(picture))
print(
    f"1. A lens transforms {N}×{N} numbers with a relative error of {optics_error:.1%}, mostly the sinc of square pixels."
)
print(
    f"2. A gain for each pixel leaves {gains_error:.2%}, which belongs to pairs of pixels. A full matrix leaves"
)
print(f"   {matrix_error:.0e}, and costs as much as the transform that light is meant to save.")
print(f"3. The compiled matrix equals full propagation to {difference:.0e}: compiling is exact.")
print(
    f"4. A convolution with one draw of noise has an error of {draw_error:.1%}, without noise {mean_error:.1%}."
)
print("   Noise, not optics, sets the error.")
print(
    f"5. A detector 1 mm ({1e-3 / float(small.focal_length):.1%} of f) from the focal plane costs {place_error:.1%}."
)
