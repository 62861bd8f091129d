"""How a tuple of effects acts."""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Inexact

from optics.effects._effect import Effect
from optics.effects._noise import Noise


def apply(
    effects: Sequence[Effect], value: Inexact[Array, "*any"], key: Array | None
) -> Inexact[Array, "*any"]:
    """Pass `value` through the effects in order, each with its own key, so that what follows an effect leaves its draw alone.

    Gaussian noise and the additive noise right behind it share one draw, scaled to the sum of their variances.

    Arguments:
        effects: in the order of the physics.
        value: shape (..., rows, columns).
        key: consumed; None for expected values.
    """
    i = 0
    while i < len(effects):
        effect, own = effects[i], None if key is None else jax.random.fold_in(key, i)
        i += 1
        if not isinstance(effect, Noise):
            value = effect(value, own)
            continue
        more = 0.0
        while i < len(effects) and isinstance(effects[i], Noise) and effects[i].additive:
            more = more + effects[i].variance(value)
            i += 1
        value = effect.draw(value, own, more)
    return value
