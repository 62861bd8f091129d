"""How a tuple of effects acts."""

from collections.abc import Sequence

from jaxtyping import Array, Float, Inexact

from optics._check import as_floats, as_shape, check_dtype, check_key, describe
from optics._keys import fold_key
from optics._typing import ArrayLike, DTypeLike, EffectsLike, KeyLike, ShapeLike
from optics.effects._effect import Effect
from optics.effects._noise import Noise


def apply(effects: EffectsLike, value: ArrayLike, key: KeyLike) -> Inexact[Array, "*any"]:
    """Pass `value` through the effects in order, each with its own key.

    An effect that is added at the end does not change the draws of those before it. Gaussian noise and the
    additive noise right behind it share one draw, scaled to the sum of their variances.

    Arguments:
        effects: in the order of the physics.
        value: shape (..., rows, columns).
        key: consumed; None gives the value without noise.

    Returns:
        the value behind the last effect.

    Raises:
        ValueError: `effects` that are none, a `value` without numbers, or a bad key.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> camera = (optics.effects.Gain(0.5), optics.effects.Dark(0.25))
        >>> print(optics.effects.apply(camera, jnp.array([[0.0, 1.0]]), None))
        [[0.25 0.75]]
    """
    check_effects("effects", effects)
    check_key("key", key)
    value = as_floats("value", value)
    i = 0
    while i < len(effects):
        effect, effect_key = effects[i], fold_key(key, i)
        i += 1
        if not isinstance(effect, Noise):
            value = effect(value, effect_key)
            continue
        extra_variance = 0.0
        while i < len(effects) and isinstance(effects[i], Noise) and effects[i].additive:
            extra_variance = extra_variance + effects[i].variance(value)
            i += 1
        value = effect.draw(value, effect_key, extra_variance)
    return value


def laser_power(
    effects: EffectsLike, shape: ShapeLike, dtype: DTypeLike, key: KeyLike
) -> Float[Array, "*shape"] | None:
    """The power of the laser of each exposure relative to its mean, as `apply` draws it with the same key.

    Arguments:
        effects: the chain of a modulator.
        shape: (..., 1, 1), one number an exposure.
        dtype: of the result.
        key: that `apply` takes, not consumed.

    Returns:
        the product over the effects of the chain; None where none moves it, or without a key.

    Raises:
        ValueError: `effects` that are none, a `shape` that is no tuple of whole numbers, a `dtype` that is
            none of floating point, or a bad key.
    """
    check_effects("effects", effects)
    check_key("key", key)
    shape = as_shape("shape", shape, low=0)
    check_dtype("dtype", dtype)
    power = None
    for i, effect in enumerate(effects if key is not None else ()):
        factor = effect.laser_power(fold_key(key, i), shape, dtype)
        if factor is not None:
            power = factor if power is None else power * factor
    return power


def check_effects(name: str, chain: EffectsLike) -> None:
    """Refuse anything but a sequence of effects."""
    if not isinstance(chain, Sequence) or isinstance(chain, str):
        raise ValueError(f"`{name}` must be a tuple of effects from `optics.effects`, got {describe(chain)}.")
    for effect in chain:
        if not isinstance(effect, Effect):
            raise ValueError(
                f"`{name}` must be a tuple of effects from `optics.effects`, got {describe(effect)} in it."
            )
