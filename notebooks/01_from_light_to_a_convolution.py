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
# This notebook follows numbers all the way: onto a modulator, through free space and glass, onto a camera, and back to
# numbers. Every step is computed by wave optics, and every step is compared with what it should have been.

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
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer pixels, for a quick look

# %% [markdown]
# ## Numbers on a modulator
#
# Eleven by eleven numbers: a letter without symmetry, so that nothing can be turned round unnoticed. Each becomes the
# amplitude of one square pixel; between the pixels it is dark, because half of each side of a pixel is electronics.

# %%
N = 7 if FAST else 11
letter = np.zeros((N, N), np.float32)
letter[1 : N - 1, 2] = letter[1, 2 : N - 2] = letter[N // 2, 2 : N - 3] = 1
lens = optics.FourierLens(N, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5, oversampling=8)
plots.show(lens)

# %% [markdown]
# The drawing is to scale along the axis and across it. Light of one direction, whichever pixel it comes from, meets in
# one point of the detector: that is the transform. The focal length is not free. Samples of a discrete transform lie at
# $\lambda f/(N \cdot \mathrm{pitch})$, and they fall on the pixels of the detector if that is the pitch again:
# $f = N \cdot \mathrm{pitch}^2 / \lambda$.

# %% [markdown]
# ## Through space and glass
#
# Free space multiplies every plane wave by its own phase (the *angular spectrum*), a lens multiplies the field by a
# quadratic phase. Four pictures: the light on the modulator, in front of the lens, behind it, and on the detector.

# %%
dx = float(lens.pitch) / lens.oversampling
plane = (lens.plane, lens.plane)
open_area = np.asarray(optics.wave.pixels(lens.plane, N, lens.oversampling, lens.fill))
u = [open_area @ letter @ open_area.T]
u.append(optics.wave.angular_spectrum(u[0] + 0j, dx, lens.wavelength, lens.focal_length))
glass = optics.wave.lens(plane, dx, lens.wavelength, lens.focal_length) * optics.wave.aperture(
    plane, dx, lens.pupil_radius
)
u.append(u[1] * glass)
u.append(optics.wave.angular_spectrum(u[2], dx, lens.wavelength, lens.focal_length))

# %%
middle = slice(lens.plane // 2 - 8 * N, lens.plane // 2 + 8 * N)
titles = ("modulator", "in front of the lens", "behind the lens", "detector")
plots.field(u[0][middle, middle], dx, "on the modulator")

# %%
plots.field(u[2][middle, middle], dx, "behind the lens: the light is spread, and the lens has bent its phase")

# %%
plots.field(
    u[3][middle, middle],
    dx,
    "on the detector: the Fourier transform, one copy for each order of the pixel grid",
)

# %% [markdown]
# The detector shows more than one transform: a grid of pixels is a grating, and every order of it carries a copy, dimmed
# by the spectrum of one pixel (a sinc). The detector's $N \times N$ pixels lie over the middle copy. Averaged over
# their own open squares, they see

# %%
seen = np.asarray(lens(jnp.asarray(letter)))
exact = np.asarray(optics.dft(N)(jnp.asarray(letter)))


def error(found, wanted):
    """Relative RMS error after the best common factor, which any bench sets first."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    factor = np.vdot(found, wanted) / np.vdot(found, found)
    return float(np.linalg.norm(factor * found - wanted) / np.linalg.norm(wanted))


of_optics = error(seen, exact)
print(f"optics against the exact transform: relative RMS error {of_optics:.2%}")

# %% [markdown]
# ## Compile once, apply often
#
# Propagation is linear. Whatever happens between modulator and detector is therefore one matrix from $N^2$ pixels to $N^2$
# pixels, and computing it once is not an approximation. It is what a real machine is, too: the glass does not change
# from one picture to the next.

# %%
transfer = optics.compile_transfer(lens)
plots.show(transfer)

# %%
letters = jnp.asarray(np.random.default_rng(0).normal(size=(16, N, N)), jnp.float32)
full, compiled = jax.jit(lambda a: jax.vmap(lens)(a)), jax.jit(lambda a: transfer(a))
difference = float(jnp.linalg.norm(full(letters) - compiled(letters)) / jnp.linalg.norm(full(letters)))


def seconds(call):
    """Shortest of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(call(letters))
        times.append(time.perf_counter() - start)
    return min(times)


faster = seconds(full) / seconds(compiled)
print(
    f"compiled and full propagation differ by {difference:.1e}; the compiled one is {faster:.0f} times as fast here"
)

# %% [markdown]
# The deviation on the right has a pattern: the middle is too bright and the corners too dark, with rings where the common
# factor happens to fit. That is the *sinc*: a pixel that is a square sends less light to the side, and a receiver that
# is a square takes less from there. Both belong to single pixels, so a gain
# for each pixel on either side takes them out (`optics.calibrate`). What is left belongs to pairs of pixels, and no gain
# can full_scale it.

# %%
bare = optics.FourierProcessor(transfer)
calibrated = optics.calibrate(bare)
of_gains = error(calibrated.transform(jnp.asarray(letter)), exact)
everything = optics.calibrate(bare, compensation="matrix")
of_matrix = error(everything.transform(jnp.asarray(letter)), exact)

figure = Figure(figsize=(9.5, 3.4), layout="constrained")
for axes, device, name in zip(
    figure.subplots(1, 2), (bare, calibrated), ("as it is", "with a gain for each pixel"), strict=True
):
    off = np.abs(np.asarray(device.transform(jnp.eye(N * N).reshape(-1, N, N)).reshape(N * N, -1).T))
    line = off[:, (N // 2) * N + N // 2].reshape(N, N)[N // 2]
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
# Detectors answer to intensity, $|u|^2$, and half of the result would be lost. *Phase-shifting interferometry* adds a
# reference beam whose phase is stepped: from the four frames
#
# $$ I_d = \left| u + r\, i^{\,d} \right|^2, \qquad u = \frac{(I_0 - I_2) + i\,(I_1 - I_3)}{4 r} $$
#
# the field follows by differences, in which $|u|^2$ cancels.

# %%
four = optics.PhaseShifting(4)
field_ = seen / np.abs(seen).max()
frames = four.frames(jnp.asarray(field_))
plots.frames(frames, float(lens.pitch), "four frames of the same field with a stepped reference")

# %%
of_interference = error(four.field(frames), field_)
print(f"field from four frames: off by {of_interference:.1e}, which is rounding")

# %% [markdown]
# ## Two transforms and a product: a convolution
#
# The lens only transforms forwards, but conjugation turns it round: $F^{-1} P = \overline{F\, \overline{P}}$. An engine
# therefore makes three passes (of $x$, of $w$, of the conjugated product). `engine11` is such a machine with everything that
# a bench has: converters of 8 and 10 bits, photon noise, noise of the receivers.

# %%
device = optics.presets.load("ideal", pixels=(N, N)) if FAST else optics.presets.load("engine11")
x = jnp.asarray(letter)
# Differences to the right and below, at the origin of the kernel: its first pixel.
w = jnp.zeros((N, N)).at[0, 0].set(2.0).at[0, 1].set(-1.0).at[1, 0].set(-1.0)
by_light = optics.convolve(x, w, device, jax.random.key(0))
by_hand = 2 * letter - np.roll(letter, 1, axis=1) - np.roll(letter, 1, axis=0)
of_shot = float(np.linalg.norm(by_light - by_hand) / np.linalg.norm(by_hand))
of_mean = float(np.linalg.norm(optics.convolve(x, w, device) - by_hand) / np.linalg.norm(by_hand))

figure = Figure(figsize=(11, 3.2), layout="constrained")
largest = float(np.abs(by_hand).max())
for axes, values, name in zip(
    figure.subplots(1, 3),
    (by_hand, by_light, by_light - by_hand),
    ("summed tap by tap", "by light, one shot", "difference"),
    strict=True,
):
    limit = largest if name != "difference" else float(np.abs(values).max())
    shown = axes.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axes, label="y (1)")
    axes.set(xlabel="column (pixel)", ylabel="row (pixel)", title=name)
figure

# %% [markdown]
# ## A knob: how carefully must the detector be placed?
#
# Move the detector out of the focal plane. `FourierLens` is a pytree and `compile_transfer` an ordinary function, so this is
# one compilation for every place of the detector. The gains stay those of the good place.

# %%
small = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5, plane=340)
good = optics.compile_transfer(small)
picture = jnp.asarray(np.random.default_rng(1).normal(size=(5, 5)), jnp.float32)


@jax.jit
def misplaced(defocus):
    """Transform of the picture with the detector `defocus` metres behind the focal plane."""
    return optics.compile_transfer(eqx.tree_at(lambda s: s.defocus, small, defocus))(picture)


def drawn(millimetres=0.0):
    """Error against the place of the detector, and one place."""
    places = np.linspace(-2, 2, 5 if FAST else 17)
    errors = [error(misplaced(jnp.asarray(z * 1e-3, jnp.float32)), good(picture)) for z in places]
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(places, errors)
    axes.plot(
        millimetres,
        error(misplaced(jnp.asarray(millimetres * 1e-3, jnp.float32)), good(picture)),
        "o",
        markersize=9,
    )
    axes.set(xlabel="detector behind the focal plane (mm)", ylabel="relative RMS error (1)")
    axes.set_title(f"5×5 pixels, f = {float(small.focal_length) * 1e3:.1f} mm", fontsize=10)
    axes.grid(alpha=0.3)
    return figure


drawn(0.5)

# %%
_ = ipywidgets.interact(
    drawn, millimetres=ipywidgets.FloatSlider(0.5, min=-2, max=2, step=0.1, continuous_update=False)
)
# %% [markdown]
# ## What was learnt

# %%
of_place = error(misplaced(jnp.asarray(1e-3, jnp.float32)), good(picture))
print(
    f"1. A lens transforms {N}×{N} numbers with a relative error of {of_optics:.1%}, most of it the sinc of square pixels."
)
print(
    f"2. A gain for each pixel leaves {of_gains:.2%}: that belongs to pairs of pixels. A full matrix leaves {of_matrix:.0e}, and costs"
)
print("   as much as the transform that light was to save.")
print(
    f"3. The optics compiled to a matrix equals full propagation to {difference:.0e}: compiling is exact, not a model of the device."
)
print(
    f"4. A convolution in one shot is off by {of_shot:.1%}, its expected value by {of_mean:.1%}: chance, not optics, sets the error."
)
print(f"5. A detector 1 mm ({1e-3 / float(small.focal_length):.1%} of f) out of place costs {of_place:.1%}.")
