"""Networks of images: patches, the convolutional vision transformer, the lambda residual network."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.datasets import load_digits

from nets.layers import ImageEmbedding
from nets.models import ConvViT, LambdaResNet
from tests.helpers import relative
from tests.helpers_layers import noisy, rngs, run
from tests.parts import load


def vit(**options):
    return ConvViT((8, 8), 10, **dict(patch=4, shape=(5, 5), depth=1, heads=2, rngs=rngs()) | options)


def resnet(**options):
    return LambdaResNet(
        (8, 8), 10, **dict(stem=(8, 16), depth=1, heads=4, key_depth=4, scope=3, rngs=rngs()) | options
    )


def learn(model, steps, rate=5e-3):
    """Share of digits right that it was not trained on, after some steps of 64."""
    images, labels = load_digits(return_X_y=True)
    images = jnp.asarray(images.reshape(-1, 8, 8) / 8 - 1, jnp.float32)
    rows = np.random.default_rng(0).permutation(1437)[: steps * 64 % 1437 or None]
    rows = np.resize(rows, (steps, 64))
    graph, state = nnx.split((model, nnx.Optimizer(model, optax.adam(rate), wrt=nnx.Param)))

    def step(state, rows):
        model, optimizer = nnx.merge(graph, state)

        def loss(model):
            return optax.softmax_cross_entropy_with_integer_labels(
                model(images[rows]), jnp.asarray(labels)[rows]
            ).mean()

        optimizer.update(model, nnx.grad(loss)(model))
        return nnx.state((model, optimizer)), None

    state = jax.jit(lambda state: jax.lax.scan(step, state, rows)[0])(state)
    nnx.update(model, nnx.state(nnx.merge(graph, state)[0]))
    model.eval()
    return np.mean(np.argmax(run(model, images[1437:]), -1) == labels[1437:])


def test_patches_are_cut_row_by_row(key):
    x = np.asarray(jax.random.normal(key, (2, 4, 6, 3)))
    layer = ImageEmbedding((4, 6), (2, 3), 7, 3, rngs=rngs())
    tokens, mask = run(layer, x)
    weights, bias = layer.embed.project.kernel[...], layer.embed.project.bias[...]
    cut = [x[:, i : i + 2, j : j + 3].reshape(2, -1) for i in (0, 2) for j in (0, 3)]
    expected = (
        np.stack(cut, 1) @ np.asarray(weights)
        + np.asarray(bias)
        + np.asarray(layer.embed.positions.embedding[...])
    )
    assert mask is None and relative(tokens, expected) <= 1e-5


@pytest.mark.parametrize("model", [lambda: vit(spectral=True, maps=2), resnet], ids=["vit", "resnet"])
@pytest.mark.every(2)
def test_learns_digits(model):
    assert learn(model(), 60) > 0.75


@pytest.mark.parametrize(
    ("model", "pixels"), [(vit, (5, 5)), (lambda: resnet(scope=(2, 2)), (3, 3))], ids=["vit", "resnet"]
)
@pytest.mark.every(2)
def test_devices(model, pixels, key):
    model, x = model(), jax.random.normal(key, (2, 8, 8))
    model.eval()
    exact = run(model, x)
    assert exact.shape == (2, 10)
    assert relative(run(model, x, load("ideal", pixels=pixels), key), exact) <= 1e-4
    graph, state = nnx.split(model)

    @jax.jit
    def slope(state, device):
        def loss(state):
            y = nnx.merge(graph, state)(x, device, key)
            return jnp.sum(y**2), y

        return jax.grad(loss, has_aux=True, allow_int=True)(state)

    result, y = slope(state, noisy(pixels[0]))
    assert 1e-4 < relative(y, exact) < 0.05
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(result))


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: ImageEmbedding((8,), 4, 5, rngs=rngs()), "image"),
        (lambda: ImageEmbedding((8, 0), 4, 5, rngs=rngs()), "image"),
        (lambda: ImageEmbedding((8, 8), 0, 5, rngs=rngs()), "patch"),
        (lambda: ImageEmbedding((8, 8), 4, 5, 0, rngs=rngs()), "channels"),
        (lambda: vit(depth=0), "depth"),
        (lambda: vit()(jnp.ones((1, 8, 9))), "x"),
        (lambda: vit()(jnp.ones((1, 8, 8, 3))), "x"),
        (lambda: resnet(stem=()), "stem"),
        (lambda: resnet(stem=(8, 0)), "stem"),
        (lambda: resnet(heads=3), "heads"),
        (lambda: LambdaResNet((8, 8), 0, rngs=rngs()), "classes"),
        (lambda: resnet()(jnp.ones((1, 7, 8))), "x"),
        (lambda: resnet()(jnp.ones((1, 8, 8)), None, 0), "key"),
    ],
)
def test_refusals_name_the_argument(call, argument):
    with pytest.raises(ValueError, match=f"`{re.escape(argument)}`"):
        call()


def test_a_refusal_says_what_came_and_what_would_work():
    with pytest.raises(ValueError) as refusal:
        ImageEmbedding((8, 9), 4, 5, rngs=rngs())
    message = (
        "`patch` must divide the (8, 9) pixels of `image`, got (4, 4); "
        "use one of 1, 2, 4, 8 and one of 1, 3, 9."
    )
    assert str(refusal.value) == message
