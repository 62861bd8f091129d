"""Networks at the start of training: how far an answer moves with its text, and how even gradients are.

A network for which a slightly changed text is another text cannot learn from texts, and neither can one whose
gradients vanish or explode between its blocks.

Source: S. S. Schoenholz et al., "Deep information propagation", ICLR (2017).
"""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import nets
from tests.helpers import with_slow
from tests.parts import MIXERS

REVIEWS, TOKENS, WORDS = 32, 128, 2_000
DEPTHS = (1, 6, 12)


def texts(key):
    """Random texts, and the same ones with a tenth of the tokens replaced."""
    word, place, other = jax.random.split(key, 3)
    shape = (REVIEWS, TOKENS)
    first, replacement = (jax.random.randint(k, shape, 1, WORDS) for k in (word, other))
    is_replaced = jnp.argsort(jax.random.uniform(place, shape)) < TOKENS // 10
    return first, jnp.where(is_replaced, replacement, first)


def sensitivities(make, norm, key):
    """For each of `DEPTHS`: RMS move of an answer over its spread between texts, both over all answers that
    are linear in the mean of the tokens, and the gradient norms of the blocks.

    The blocks are steps of a loop that stops at a depth given at run time: all depths are one program.
    """
    rngs = nnx.Rngs(0)
    blocks = [nnx.split(nets.Block(make(rngs), norm=norm, rngs=rngs)) for _ in range(DEPTHS[-1])]
    graph = blocks[0][0]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(state for _, state in blocks))
    features = nnx.merge(*blocks[0]).attention.features
    embedding = nnx.split(nets.TokenEmbedding(WORDS, TOKENS, features, rngs=rngs))
    direction = jax.random.normal(rngs.params(), (features,))

    def pool(state, depth, tokens):
        h, mask = nnx.merge(*embedding)(tokens)

        def apply(state, h):
            return nnx.merge(graph, state)(h, None, None, mask)

        def step(h, block):
            state, number = block
            return jax.lax.cond(number < depth, apply, lambda state, h: h, state, h), None

        h, _ = jax.lax.scan(step, h, (state, jnp.arange(DEPTHS[-1])))
        h = h if norm == "post" else (h - h.mean(-1, keepdims=True)) / h.std(-1, keepdims=True)
        return h.mean(1)

    @jax.jit
    def measure(state, depth, key):
        text_key, label_key = jax.random.split(key)
        first, changed = texts(text_key)
        labels = jnp.tile(jax.random.rademacher(label_key, (REVIEWS,), jnp.float32), 2)

        def loss(state):
            # One batch: statistics of a batch are those of both.
            pooled = pool(state, depth, jnp.concatenate([first, changed]))
            return jnp.mean(jax.nn.softplus(-labels * (pooled @ direction))), pooled

        slopes, pooled = jax.grad(loss, has_aux=True, allow_int=True)(state)
        squares = [
            jnp.sum(leaf**2, axis=range(1, leaf.ndim))
            for leaf in jax.tree.leaves(nnx.filter_state(slopes, nnx.Param))
        ]
        first, changed = jnp.split(pooled, 2)
        move, spread = jnp.sum((changed - first) ** 2), jnp.sum((first - first.mean(0)) ** 2)
        return jnp.sqrt(move / spread), jnp.sqrt(sum(squares))

    return {depth: measure(state, depth, key) for depth in DEPTHS}


# Pre-norm blocks are the same layers once more, and milder: each test compiles a network and its gradient.
@pytest.mark.parametrize("norm", ["post", pytest.param("pre", marks=pytest.mark.slow)])
# The others mix as one of these does.
@pytest.mark.parametrize(
    "name",
    with_slow(MIXERS, ("linear", "canonical", "conv1d", "spectral", "local lambda", "causal lambda")),
)
@pytest.mark.every(3)
def test_an_answer_moves_little_with_a_tenth_of_the_text(name, norm, key):
    for depth, (sensitivity, slopes) in sensitivities(MIXERS[name].make, norm, key).items():
        # That of a mean over the tokens moves by √(2 / 10) of its spread, the answer to another text by √2.
        assert 0.1 < sensitivity <= 0.7, depth
        factor = max(10, MIXERS[name].tolerance)
        assert 1 / factor <= slopes[0] / slopes[depth - 1] <= factor, depth
