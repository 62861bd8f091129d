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
# # Every bench trains one digit network
#
# **One small transformer, one set of digits, every bench of the presets: which of them trains it, and what does an image
# cost there?**
#
# The queries, keys and values of the network are convolutions of the embedding of each patch, and a device computes them.
# The embedding has the size of the device, or the device the size of the embedding. This notebook
#
# 1. builds every bench in a small size and looks at its error;
# 2. trains the same network through each of them for a few steps;
# 3. asks which gradient suits a filter of phases alone, which computes another function than the one that is asked for;
# 4. counts the exposures of an image.
#
# `python -m bench devices` is the same at a larger scale, with recorded runs.

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
from dataclasses import replace

import jax
import matplotlib
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure

import optics
from bench.plots import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from nets import data
from nets.config import Config, resolve
from nets.run import build_device, build_model, compile_steps
from optics import accounting, metrics

matplotlib.rcParams["figure.dpi"] = 80
FAST = bool(os.environ.get("LENSFORMER_FAST"))  # fewer benches and steps, a shortened version
STEPS = 2 if FAST else 100

# %% [markdown]
# ## The benches
#
# A shape sizes the preset: 4×4 numbers on the panels, a line of 16 on the chip. Mirrors show three bit planes here instead
# of eight. The crossbar multiplies matrices in place of convolving, and takes a network with linear projections.

# %%
SIDE, LINE = 4, 16
BENCHES = {
    "engine11": {},
    "jtc": {"shape": (1, LINE)},
    "correlator": {},
    "phase-correlator": {},
    "slm-4f": {},
    "dmd-4f": {"overrides": ("bits=3",)},
    "intensity-4f": {},
    "crossbar": {"model": "linear", "shape": (SIDE**2,), "device": "none", "products": "device"},
}
if FAST:
    BENCHES = {name: BENCHES[name] for name in ("engine11", "jtc", "crossbar")}
common = Config(
    heads=1, patch=4, batch_size=32, learning_rate=1e-2, dropout=0.0, distortion=0.0, progress=False
)


def options_of(name):
    return resolve(replace(common, **({"device": name, "shape": (SIDE, SIDE)} | BENCHES[name])))


configs = {name: options_of(name) for name in BENCHES}
benches = {name: build_device(config) for name, config in configs.items()}


def error_of(device):
    """Relative error of one noisy convolution of random planes, or of a product of matrices."""
    is_multiplier = not device.supports(optics.AbstractDevice.convolve)
    call = optics.matmul if is_multiplier else optics.convolve
    _, *sizes = device.product_shape if is_multiplier else (0, 0, 0)
    shapes = ((64, sizes[0]), tuple(sizes)) if is_multiplier else ((64, *device.shape),) * 2
    x, w = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate(shapes))
    return float(metrics.relative_error(jax.jit(call)(x, w, device, jax.random.key(2)), call(x, w)))


errors = {name: error_of(device) for name, device in benches.items()}
for name, error in errors.items():
    print(f"{name}: {'×'.join(map(str, configs[name].shape))} numbers, off by {error:.1%}")

# %% [markdown]
# ## Training through each
#
# The same first weights, batches and steps; nothing but the device and the size of the embedding differs. Each bench
# stands beside its exact twin, the same network of the same size with exact convolutions.

# %%
dataset = data.load(common)
rows = data.head(dataset.train, 1024)


def train(config, device):
    """Loss of each step, accuracy on the validation rows, and milliseconds of a step."""
    model = build_model(config, dataset, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(config.learning_rate), wrt=nnx.Param)
    step, evaluate = compile_steps(model, optimizer)
    state, losses, moments = nnx.state((model, optimizer)), [], []
    key = jax.random.key(1)
    while len(losses) < STEPS:
        for batch in data.batches(rows, config.batch_size):
            start = time.perf_counter()
            state, sums = step(state, batch, device, jax.random.fold_in(key, len(losses)))
            losses.append(float(sums[0] / sums[2]))
            moments.append(1e3 * (time.perf_counter() - start))
            if len(losses) == STEPS:
                break
    right, count = 0.0, 0.0
    for batch in data.batches(dataset.validation, config.batch_size):
        (_, correct, weight), _ = evaluate(state, batch, device, key)
        right, count = right + float(correct), count + float(weight)
    counts = None
    if device is not None:
        counts = accounting.count(lambda device, key: evaluate(state, batch, device, key), device)
    return {"losses": losses, "accuracy": right / count, "step": float(np.median(moments)), "counts": counts}


through = {name: train(configs[name], benches[name]) for name in BENCHES}
twins = {}
for config in configs.values():
    size = config.model, config.shape
    if size not in twins:
        exact = replace(config, device="none", products="electronic", multiplier=None, overrides=())
        twins[size] = train(exact, None)
exact_of = {name: twins[config.model, config.shape] for name, config in configs.items()}
for name, run in through.items():
    ratio = run["step"] / exact_of[name]["step"]
    print(
        f"{name}: accuracy {run['accuracy']:.1%}, exact twin {exact_of[name]['accuracy']:.1%}; "
        f"a step takes {ratio:.1f} times as long"
    )

# %%
colours = dict(zip(BENCHES, (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "0.4", "0.0"), strict=False))
figure = Figure(figsize=(12, 4), layout="constrained")
left, right = figure.subplots(1, 2)
width = max(1, STEPS // 15)
for name, run in through.items():
    smooth = np.convolve(run["losses"], np.ones(width) / width, mode="valid")
    left.plot(smooth, color=colours[name], label=name)
    points = 100 * (run["accuracy"] - exact_of[name]["accuracy"])
    per_image = run["counts"].exposures / common.batch_size
    right.semilogx(per_image, points, "o", color=colours[name])
    right.annotate(name, (per_image, points), (0, 6), textcoords="offset points", ha="center", fontsize=8)
left.set(xlabel="step", ylabel="loss (nats)", title="through each bench")
right.axhline(0, color="0.5", linewidth=0.8)
right.margins(x=0.25, y=0.25)
right.set(xlabel="exposures an image (1)", ylabel="accuracy less that of the exact twin (points)")
left.legend(frameon=False, fontsize=8)
for axes in (left, right):
    axes.grid(alpha=0.3)
figure

# %% [markdown]
# ## A filter of phases alone
#
# `phase-correlator` keeps the phases of the spectrum of a kernel and loses its amplitudes. What it computes is another
# function of the kernel: the gradient of the simulator is that of this function. The rule `ideal` differentiates the
# convolution that the bench does not compute.


# %%
def gradient_of(config, device):
    """The gradient of the loss of one batch by the kernels."""
    model = build_model(config, dataset, nnx.Rngs(0))
    batch = next(iter(data.batches(rows, config.batch_size)))

    @nnx.jit
    def slope(model, device):
        def loss(model):
            logits = model(batch[0], device, None)
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

        return nnx.grad(loss)(model)["blocks"][0]["attention"]["kernels"][...]

    return np.asarray(slope(model, device)).ravel()


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


filters = [name for name in ("correlator", "phase-correlator", "jtc") if name in BENCHES]
cosines = {}
for name in filters:
    rules = [
        gradient_of(replace(configs[name], gradient=rule), benches[name]) for rule in ("simulator", "ideal")
    ]
    cosines[name] = cosine(*rules)
    print(f"{name}: cosine between the gradients of the simulator and of the rule ideal {cosines[name]:.3f}")
by_rule = {}
if "phase-correlator" in BENCHES:
    config = replace(configs["phase-correlator"], gradient="ideal")
    by_rule = {"simulator": through["phase-correlator"], "ideal": train(config, benches["phase-correlator"])}

# %% [markdown]
# ## Results

# %%
gaps = {name: 100 * (run["accuracy"] - exact_of[name]["accuracy"]) for name, run in through.items()}
images = len(dataset.validation.labels)
print(f"1. Errors of one convolution or product: {min(errors.values()):.1%} to {max(errors.values()):.1%}.")
print(
    f"2. After {STEPS} steps a bench is {min(gaps.values()):+.1f} to {max(gaps.values()):+.1f} points from its "
    f"exact twin, on {images} images,"
)
print(f"   of which one is {100 / images:.1f} points. The farthest below is {min(gaps, key=gaps.get)}.")
cheapest, dearest = (
    choose(through, key=lambda name: through[name]["counts"].exposures) for choose in (min, max)
)
for name, value in cosines.items():
    print(f"3. {name}: the rule ideal gives a gradient of cosine {value:.2f} with the simulator's.")
if by_rule:
    reached = ", ".join(f"{run['accuracy']:.1%} by {rule}" for rule, run in by_rule.items())
    print(f"   The phase filter trains to {reached}.")
for name in (cheapest, dearest):
    count = through[name]["counts"].exposures / common.batch_size
    print(f"4. An image takes {count:,.1f} exposures on {name}.")
