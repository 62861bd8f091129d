"""Accuracy of a dense network against the detected photons of a multiplication.

A perceptron is trained exactly, and once for each light level through its noise, and tested on a
vector–matrix multiplier whose only fault is the photon noise of its photodiodes. Its signs are those of
balanced pairs. Light is set for each layer, so that every layer detects as many photons a multiplication.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.ndimage
from tqdm.auto import tqdm

import nets
import optics
from bench import output, plots
from bench.config import Photons
from bench.output import Rows
from nets.config import Config
from nets.data import Dataset, distort
from optics import effects

# Of the network of Wang et al., Nat. Commun. 13, 123 (2022), on images of 28×28 pixels.
HIDDEN = (100, 100)
SIDE = 28
LEVELS = (0.03, 0.1, 0.3, 0.66, 1.0, 3.0, 10.0, 30.0, 100.0)
BATCH, LEARNING_RATE, DISTORTION = 64, 2e-3, 0.12
EPOCHS, DRAWS = 60, 8
COLUMNS = {"training": "", "photons": ".3g", "accuracy": ".2%", "spread": ".2%", "relative_error": ".3f"}
COLUMNS |= {"exact": ".2%", "knee": ".3g"}

Layers = list[dict[str, jax.Array]]


def main(options: Photons) -> Rows:
    """Train and test; returns the rows.

    Raises:
        ValueError: data that are missing, or a folder that cannot be written to.
    """
    output.check_folder(options.out)
    config = Config(data=options.data, data_path=options.data_path)
    dataset = nets.data.load(config)
    levels = LEVELS[3::3] if options.quick else LEVELS
    epochs, seeds = (3, 1) if options.quick else (EPOCHS, options.seeds)
    rows: Rows = []
    progress = tqdm(total=seeds * (1 + len(levels)), desc="light levels", unit="network", leave=False)
    for seed in range(options.seed, options.seed + seeds):
        exact = train(dataset, None, epochs, seed)
        progress.update()
        rows.append({"training": "exact", "seed": seed, **evaluate(exact, dataset, None, seed)})
        for photons in levels:
            noisy = train(dataset, photons, epochs, seed)
            progress.update()
            for training, layers in (("exact", exact), ("through noise", noisy)):
                figures = evaluate(layers, dataset, photons, seed)
                rows.append({"training": training, "seed": seed, "photons": photons, **figures})
    progress.close()
    rows += summarize(rows)
    print(output.table([row for row in rows if "seed" not in row], COLUMNS))
    output.write(options.out, "photons", rows, options, plots.photons(rows, options.data))
    return rows


def enlarge(images: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Images (count, rows, columns) on `side` × `side` pixels, by straight lines between pixels."""
    factors = (1, side / images.shape[1], side / images.shape[2])
    return np.clip(scipy.ndimage.zoom(images, factors, order=1, grid_mode=True, mode="nearest"), 0, None)


def make_layers(inputs: int, classes: int, seed: int) -> Layers:
    """First weights, by He et al. (2015)."""
    sizes = (inputs, *HIDDEN, classes)
    keys = jax.random.split(jax.random.key(seed), len(sizes) - 1)
    return [
        {"weights": jax.random.normal(key, (k, n)) * jnp.sqrt(2 / k), "biases": jnp.zeros(n)}
        for key, k, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def multiply(x: jax.Array, weights: jax.Array, photons: jax.Array | None, key: jax.Array | None) -> jax.Array:
    """The product of a layer, with `photons` detected a multiplication on average."""
    if photons is None:
        return x @ weights
    k, n = weights.shape
    device = optics.VectorMatrixMultiplier(optics.ExactProduct((1, k, n)))
    frames = device.expose(device.prepare(x, weights))
    # Of all photodiodes, in units of full scale; activations are not negative, so that one sign is exposed.
    light = jax.lax.stop_gradient(jnp.sum(frames) / x.shape[0])
    full_scale_photons = photons * k * n / light
    noisy = optics.VectorMatrixMultiplier(
        optics.ExactProduct((1, k, n)), camera=(effects.Shot(full_scale_photons),)
    )
    return optics.matmul(x, weights, noisy, key)


def predict(layers: Layers, x: jax.Array, photons: jax.Array | None, key: jax.Array) -> jax.Array:
    """Logits, shape (batch, classes)."""
    for i, layer in enumerate(layers):
        x = multiply(x, layer["weights"], photons, jax.random.fold_in(key, i)) + layer["biases"]
        x = jax.nn.relu(x) if i + 1 < len(layers) else x
    return x


def train(dataset: Dataset, photons: float | None, epochs: int, seed: int) -> Layers:
    """Train a network by Adam, exactly or through the noise of a light level."""
    images, labels = dataset.train.rows, dataset.train.labels
    rng = np.random.default_rng(seed)
    steps = epochs * (len(labels) // BATCH)
    schedule = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, steps // 20 + 1, steps)
    optimizer = optax.adam(schedule)
    layers = make_layers(SIDE**2, dataset.classes, seed)
    state = optimizer.init(layers)

    @jax.jit
    def step(layers, state, x, y, photons, key):
        def loss(layers):
            logits = predict(layers, x, photons, key)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, state = optimizer.update(jax.grad(loss)(layers), state)
        return optax.apply_updates(layers, updates), state

    level = None if photons is None else jnp.asarray(photons)
    for i in range(steps):
        chosen = rng.integers(len(labels), size=BATCH)
        x = enlarge(distort(images[chosen], DISTORTION, rng)).reshape(BATCH, -1)
        key = jax.random.fold_in(jax.random.key(seed + 1), i)
        layers, state = step(layers, state, jnp.asarray(x), jnp.asarray(labels[chosen]), level, key)
    return layers


def evaluate(layers: Layers, dataset: Dataset, photons: float | None, seed: int) -> dict[str, Any]:
    """Accuracy on the test images, its mean over draws of the noise, and the error of the first product."""
    x = jnp.asarray(enlarge(dataset.test.rows).reshape(len(dataset.test.labels), -1))
    labels = np.asarray(dataset.test.labels)
    if photons is None:
        right = np.argmax(np.asarray(predict(layers, x, None, jax.random.key(0))), -1) == labels
        return {"accuracy": float(right.mean())}
    level, weights = jnp.asarray(photons), layers[0]["weights"]
    draw = jax.jit(predict)
    keys = jax.random.split(jax.random.key(seed + 2), DRAWS)
    shares = [
        float(np.mean(np.argmax(np.asarray(draw(layers, x, level, key)), -1) == labels)) for key in keys
    ]
    product = jax.jit(multiply)(x, weights, level, keys[0])
    error = optics.metrics.relative_error(product, x @ weights)
    return {"accuracy": float(np.mean(shares)), "relative_error": float(error)}


def summarize(rows: Rows) -> Rows:
    """The mean over seeds, its spread, and the knee: the least light within a point of the exact network."""
    summary: Rows = []
    for training in ("exact", "through noise"):
        levels = sorted({row["photons"] for row in rows if row["training"] == training and "photons" in row})
        means = {}
        for photons in levels:
            chosen = output.select(rows, training=training, photons=photons)
            shares = [row["accuracy"] for row in chosen]
            means[photons] = float(np.mean(shares))
            summary.append(
                {
                    "training": training,
                    "photons": photons,
                    "accuracy": means[photons],
                    "spread": float(np.std(shares)),
                    "relative_error": float(np.mean([row["relative_error"] for row in chosen])),
                }
            )
        exact = np.mean(
            [row["accuracy"] for row in rows if row["training"] == "exact" and "photons" not in row]
        )
        enough = [photons for photons, share in means.items() if share >= exact - 0.01]
        summary.append({"training": training, "exact": float(exact), "knee": min(enough) if enough else None})
    return summary
