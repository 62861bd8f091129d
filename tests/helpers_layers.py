"""What tests of layers and networks share: seeds, sizes, compiled calls, a noisy device."""

import jax
from flax import nnx

from tests.parts import load


def rngs():
    return nnx.Rngs(0)


def count(make):
    """Parameters of a module that is never given any memory."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(nnx.eval_shape(make), nnx.Param)))


def run(layer, *arguments, method="__call__"):
    """The result of a layer, compiled."""
    graph, state = nnx.split(layer)
    return jax.jit(lambda state, *a: getattr(nnx.merge(graph, state), method)(*a))(state, *arguments)


def noisy(pixels):
    """The noise of engine11 around an exact transform of any size."""
    return load("engine11", pixels=pixels, level="ideal")
