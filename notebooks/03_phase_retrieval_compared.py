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
# # Phase retrieval compared
#
# **A camera without a reference measures $|F x|^2$. When does an iteration find $x$, and can the experimenter tell?**
#
# Nearly every non-negative object within a known support $S$ is the only one with its Fourier amplitudes $A$, if the
# support fills at most half of each side of the plane. The object lies in two sets,
#
# $$ M = \{x : |F x| = A\}, \qquad C = \{x : x \ge 0,\; x = 0 \text{ outside } S\}, $$
#
# with projections $P_M$ and $P_C$; $M$ is not convex. The algorithms differ in how they leave a local minimum:
#
# | | step | |
# | --- | --- | --- |
# | error reduction | $P_C P_M x$ | never worse, never leaves a local minimum |
# | HIO | $P_M x$ where allowed, $x - \beta P_M x$ elsewhere | pushes back values that are not allowed |
# | RAAR | $\tfrac{\beta}{2}(R_C R_M + 1) x + (1-\beta) P_M x$, $R = 2P-1$ | reflects, with a relaxation |
# | amplitude flow | gradient of $\tfrac12 \Vert\, |F x| - A \Vert^2$ with momentum | descends |

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
from matplotlib.figure import Figure

import optics
from bench import plots
from bench.plots import BLUE, GREEN, ORANGE, PURPLE
from optics import retrieve

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer starts and iterations, a shortened version

# %% [markdown]
# ## An object and its camera image

# %%
SIDE, STARTS, ITERATIONS = 16, (4 if FAST else 24), (60 if FAST else 1500)
PLANE = 2 * SIDE
inside = (slice(SIDE // 2, SIDE // 2 + SIDE),) * 2
support = np.zeros((PLANE, PLANE), bool)
support[inside] = True
rows, cols = np.indices((SIDE, SIDE))
cell = np.hypot(rows - 7, cols - 8) < 6.5
body = 0.3 * cell + 0.7 * (np.hypot(rows - 5, cols - 6) < 2) + 0.5 * (np.hypot(rows - 10, cols - 11) < 1.6)
texture = np.random.default_rng(0).random((SIDE, SIDE)) * 0.15 * cell
thing = np.zeros((PLANE, PLANE), np.float32)
thing[inside] = body + texture
amplitude = jnp.abs(retrieve.centred_dft(jnp.asarray(thing)))
figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
plots.image(left, thing, "amplitude (1)", 8e-6, title="object, within its support")
plots.image(
    right,
    np.log10(np.asarray(amplitude) ** 2 + 1e-6),
    "log₁₀ intensity (1)",
    8e-6,
    title="camera image",
)
figure

# %% [markdown]
# ## Many starts
#
# Each algorithm runs from the same random starts and is stopped after more and more iterations. An experimenter can
# compute the *residual* $\Vert\,|Fx| - A\Vert / \Vert A\Vert$. Only a simulation knows the *error* of the object.
# Amplitudes do not determine shifts and the rotation by 180°, so the error leaves them out.

# %%
keys = jax.random.split(jax.random.key(0), STARTS)
ALGORITHMS = {
    "error reduction": (lambda a, n, k: retrieve.error_reduction(a, support, n, key=k), BLUE),
    "HIO": (lambda a, n, k: retrieve.hio(a, support, 0.9, n, key=k), ORANGE),
    "RAAR": (lambda a, n, k: retrieve.raar(a, support, 0.99, n, key=k), GREEN),
    "amplitude flow": (lambda a, n, k: retrieve.amplitude_flow(a, support, n, key=k), PURPLE),
}


def runs(algorithm, amplitude, iterations):
    """Residual and error for every start."""

    @jax.jit
    def run(amplitude, iterations, keys):
        retrieved = jax.vmap(lambda key: algorithm(amplitude, iterations, key))(keys)
        truth = jnp.broadcast_to(jnp.asarray(thing), retrieved.object.shape)
        return retrieved.residual, retrieve.aligned_error(retrieved.object, truth)

    return [tuple(map(np.asarray, run(amplitude, n, keys))) for n in iterations]


stops = np.unique(np.geomspace(5, ITERATIONS, 4 if FAST else 9).astype(int))
results = {name: runs(algorithm, amplitude, stops) for name, (algorithm, _) in ALGORITHMS.items()}
RECOVERED = 1e-2  # below this error an object counts as recovered

figure = Figure(figsize=(11, 3.8), layout="constrained")
left, right = figure.subplots(1, 2)
for name, (_, colour) in ALGORITHMS.items():
    errors = np.array([error for _, error in results[name]])
    left.plot(stops, np.median(errors, 1), "o-", color=colour, label=name)
    left.fill_between(stops, *np.quantile(errors, [0.25, 0.75], axis=1), color=colour, alpha=0.2, linewidth=0)
    right.plot(stops, 100 * np.mean(errors < RECOVERED, axis=1), "o-", color=colour, label=name)
left.set(
    xscale="log",
    yscale="log",
    xlabel="iterations (1)",
    ylabel="relative error of the object (1)",
    title="median and quartiles",
)
right.set(
    xscale="log",
    xlabel="iterations (1)",
    ylabel="starts that recovered the object (%)",
    title=f"error below {RECOVERED:g}",
    ylim=(-3, 103),
)
left.legend(frameon=False, fontsize=8)
for axes in (left, right):
    axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Can the experimenter tell?
#
# Residual against error for every start at the last stop. If the residual determined the error, the points would lie on
# a line.

# %%
figure = Figure(figsize=(6.5, 4), layout="constrained")
axes = figure.subplots()
for (name, (_, colour)), mark in zip(ALGORITHMS.items(), "os^D", strict=True):
    residual, error = results[name][-1]
    axes.loglog(
        np.maximum(residual, 1e-8),
        np.maximum(error, 1e-8),
        mark,
        color=colour,
        label=name,
        alpha=0.7,
        linestyle="none",
    )
axes.axhline(RECOVERED, color="0.5", linestyle="--", linewidth=1)
axes.set(xlabel="residual, which the experimenter knows (1)", ylabel="error of the object (1)")
axes.legend(frameon=False, fontsize=8)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# The best result of HIO and the worst of error reduction. A local minimum is often a mixture of the object and its copy
# rotated by 180°; both have the right amplitudes.

# %%
worst = int(np.argmax(results["error reduction"][-1][1]))
best = int(np.argmin(results["HIO"][-1][1]))
stuck = retrieve.error_reduction(amplitude, support, ITERATIONS, key=keys[worst])
solved = retrieve.hio(amplitude, support, 0.9, ITERATIONS, key=keys[best])
figure = Figure(figsize=(10, 3.2), layout="constrained")
for axes, values, name in zip(
    figure.subplots(1, 3),
    (thing, retrieve.align(solved.object, thing), retrieve.align(stuck.object, thing)),
    ("object", f"HIO, residual {float(solved.residual):.1e}", f"ER, residual {float(stuck.residual):.1e}"),
    strict=True,
):
    plots.image(axes, np.asarray(values)[inside], "amplitude (1)", 8e-6, limits=(0, 1.2), title=name)
figure

# %% [markdown]
# ## Photons
#
# A camera counts photons, and $A = \sqrt{I}$ has a relative uncertainty of $1/(2\sqrt{N})$ at $N$ photons. With noise the
# two sets no longer intersect. How do the iterations behave then?

# %%
intensity = amplitude**2 / jnp.max(amplitude**2)
photons = np.logspace(4, 9, 3 if FAST else 6)


def noisy_amplitude(photons):
    """Amplitudes from one frame with this number of photons in its brightest pixel."""
    noisy = optics.effects.Shot(float(photons))(intensity, jax.random.key(5))
    return jnp.sqrt(jnp.maximum(noisy, 0) * jnp.max(amplitude**2))


NOISY = {
    "HIO, polished": (lambda a, n, k: retrieve.hio(a, support, 0.9, n, key=k), ORANGE),
    "HIO, not polished": (lambda a, n, k: retrieve.hio(a, support, 0.9, n, polish=0, key=k), "#b58900"),
    "RAAR, β = 0.99": (lambda a, n, k: retrieve.raar(a, support, 0.99, n, key=k), GREEN),
    "RAAR, β = 0.9": (lambda a, n, k: retrieve.raar(a, support, 0.9, n, key=k), PURPLE),
}
noisy = {}
for name, (algorithm, _) in NOISY.items():
    program = jax.jit(lambda a, keys, f=algorithm: jax.vmap(lambda k: f(a, ITERATIONS, k))(keys))
    chosen = []
    for n in photons:
        retrieved = program(noisy_amplitude(n), keys)
        # As in an experiment: of all starts, the one with the smallest residual.
        candidate = retrieved.object[int(np.argmin(retrieved.residual))]
        chosen.append(float(retrieve.aligned_error(candidate, jnp.asarray(thing))))
    noisy[name] = np.array(chosen)

figure = Figure(figsize=(6.5, 3.8), layout="constrained")
axes = figure.subplots()
for name, (_, colour) in NOISY.items():
    axes.loglog(photons, noisy[name], "o-", color=colour, label=name)
axes.loglog(
    photons,
    noisy["RAAR, β = 0.99"][-1] * np.sqrt(photons[-1] / photons),
    ":",
    color="0.5",
    label="1/√photons",
)
axes.set(xlabel="photons in the brightest pixel (1)", ylabel="error of the chosen object (1)")
axes.legend(frameon=False, fontsize=8)
axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## Try it: the feedback of HIO

# %%


def plot_object(beta=0.9, start=0):
    """The object that HIO finds with a feedback β from one start."""
    retrieved = retrieve.hio(amplitude, support, beta, ITERATIONS, key=keys[start])
    error = float(retrieve.aligned_error(retrieved.object, jnp.asarray(thing)))
    return plots.field(
        np.asarray(retrieve.align(retrieved.object, thing))[inside], 8e-6, f"β = {beta:g}: error {error:.1e}"
    )


_ = ipywidgets.interact(
    plot_object,
    beta=ipywidgets.FloatSlider(0.9, min=0.1, max=1.5, step=0.1, continuous_update=False),
    start=ipywidgets.IntSlider(0, min=0, max=STARTS - 1, continuous_update=False),
)
# %% [markdown]
# ## Results

# %%
for name in ALGORITHMS:
    residual, error = results[name][-1]
    share = np.mean(error < RECOVERED)
    print(f"{name:16s} recovered the object from {share:4.0%} of {STARTS} starts in {stops[-1]} iterations")
residuals, errors = (np.concatenate([r[-1][i] for r in results.values()]) for i in (0, 1))
lost = errors >= RECOVERED
if lost.any():
    wrong = errors[lost][np.argmin(residuals[lost])]
    print(
        f"The smallest residual of a start that failed is {residuals[lost].min():.1e}, with an error of {wrong:.0%}:"
    )
    print("in the laboratory such a residual would look like success.")
few = {name: values[0] for name, values in noisy.items()}
print(
    f"At {photons[0]:.0e} photons: " + ", ".join(f"{name}: {value:.1%}" for name, value in few.items()) + "."
)
