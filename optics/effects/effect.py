"""The one type of every nonideality, and how a tuple of them acts."""

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Inexact


class Effect(eqx.Module):
    """A nonideality: (value, key) -> value. With `key=None` it gives the expected value.

    `value` has shape (..., rows, columns): amplitudes of modulator pixels, or frames in units of full scale. Numbers
    are pytree leaves, scalar or a (rows, columns) map of one physical device.
    """

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        raise NotImplementedError


def apply(effects: Sequence[Effect], value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
    """Pass `value` through the effects in order, each with its own key: one more at the end leaves the rest alone.

    Arguments:
        effects: in the order of the physics.
        value: shape (..., rows, columns).
        key: consumed; None for expected values.
    """
    for i, effect in enumerate(effects):
        value = effect(value, None if key is None else jax.random.fold_in(key, i))
    return value
