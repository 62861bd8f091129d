"""The mean over draws of noise, which is what a long average in a laboratory gives."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from optics._check import check_function, check_given_key, check_whole
from optics._keys import split_key
from optics._typing import CountLike, FunctionLike, KeyLike

Tree = TypeVar("Tree")


def expected(f: FunctionLike, key: KeyLike, draws: CountLike = 64) -> Tree:
    """The mean of a function over draws of its noise.

        mean = (1 / draws) Σ_i f(key_i)

    A call without a key leaves noise out, which is another thing behind a converter or where values are cut
    off: noise that spans a step of a converter averages its rounding away, and the noise of a dark pixel that
    cannot go below zero adds to it. One draw follows another, in one compiled loop; memory is that of one.
    The mean has √draws times less noise than a draw.

    Arguments:
        f: function of a key that returns arrays, such as `lambda key: optics.convolve(x, w, device, key)`.
        key: consumed.
        draws: at least 1.

    Returns:
        the mean, as `f` returns it.

    Raises:
        ValueError: an `f` that cannot be called, a bad key or none, or `draws` below 1.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> camera = optics.effects.camera(full_well=1e4, read_noise=5.0, bits=12)
        >>> dark = lambda key: optics.effects.apply(camera, jnp.zeros((64, 64)), key).mean()
        >>> print(f"{1e4 * dark(None):.1f} {1e4 * optics.expected(dark, jax.random.key(0)):.1f}")
        0.0 2.0
    """
    check_function("f", f, "`lambda key: optics.convolve(x, w, device, key)`")
    check_given_key("key", key)
    check_whole("draws", draws, 1)
    keys = split_key(key, draws)
    function: Callable = f
    shapes = jax.eval_shape(function, keys[0])
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, jnp.result_type(a.dtype, float)), shapes)

    def add(total, key):
        return jax.tree.map(lambda a, b: a + b / draws, total, function(key)), None

    return jax.lax.scan(add, zeros, keys)[0]
