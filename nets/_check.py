"""Refusals that several layers share: they name the argument, what came and what would work."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from optics._check import (
    as_array,
    as_real,
    check_choice,
    check_key,
    check_number,
    check_whole,
    describe,
    is_concrete,
)
from optics._typing import ArrayLike, CountLike, DeviceLike, KeyLike, PartLike, ScalarLike, TextLike
from optics.convolution import check_device
from optics.device import AbstractDevice

# Layers of a network that follow each other.
LARGEST_DEPTH = 4096


def check_sizes(**sizes: Any) -> None:
    """Refuse, by name, a size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        check_whole(name, size, 1)


def check_heads(features: CountLike, heads: CountLike) -> None:
    """Refuse heads that cannot share the features evenly."""
    check_sizes(features=features, heads=heads)
    if features % heads:
        divisors = ", ".join(str(n) for n in range(1, features + 1) if features % n == 0)
        raise ValueError(f"`heads` must divide the {features} features, got {heads}; use one of {divisors}.")


def check_rngs(rngs: PartLike) -> None:
    """Refuse anything but the streams of random numbers that make initial weights, such as a seed."""
    if not isinstance(rngs, nnx.Rngs):
        raise ValueError(f"`rngs` must be `flax.nnx.Rngs`, such as `nnx.Rngs(0)`, got {describe(rngs)}.")


def check_rate(name: str, rate: ScalarLike) -> None:
    """Refuse a rate of dropout outside [0, 1)."""
    check_number(name, rate, 0.0)
    if rate >= 1:
        raise ValueError(f"`{name}` must be at least 0 and below 1, got {rate!r}.")


def check_module(name: str, value: PartLike, example: str) -> None:
    """Refuse what is no module of flax, such as the class of one."""
    if not isinstance(value, nnx.Module):
        raise ValueError(f"`{name}` must be a `flax.nnx.Module`, such as {example}, got {describe(value)}.")


def check_width(name: str, layer: PartLike, example: str) -> int:
    """The `features` of a layer; refuse a layer without."""
    check_module(name, layer, example)
    features = getattr(layer, "features", None)
    if not isinstance(features, int):
        raise ValueError(
            f"`{name}` must have an attribute `features`, its width; {type(layer).__name__} has none."
        )
    return features


def as_numbers(name: str, value: ArrayLike) -> Array:
    """Real numbers in their own precision, whole ones made floating point; refuse anything else."""
    array = as_array(name, value)
    if jnp.iscomplexobj(array):
        raise ValueError(f"`{name}` must be real, got {array.dtype}; take its real part, or its modulus.")
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


def as_tokens(x: ArrayLike, features: int) -> Array:
    """Vectors of tokens, shape (batch, tokens, features); refuse anything else."""
    array = as_numbers("x", x)
    if array.ndim != 3 or array.shape[-1] != features or not array.shape[1]:
        raise ValueError(f"`x` must have shape (batch, tokens, {features}), got {array.shape}.")
    return array


def as_token_numbers(name: str, value: ArrayLike, vocabulary: int | None = None) -> Array:
    """Numbers of tokens, shape (batch, tokens); refuse other arrays and, where concrete, numbers from 0 to
    `vocabulary` alone pass.
    """
    array = as_array(name, value)
    if not jnp.issubdtype(array.dtype, jnp.integer) or array.ndim != 2:
        raise ValueError(
            f"`{name}` must be token numbers, whole and of shape (batch, tokens), got {array.dtype} of shape "
            f"{array.shape}."
        )
    if vocabulary is not None and array.size and is_concrete(array):
        numbers = np.asarray(array)
        if numbers.min() < 0 or numbers.max() >= vocabulary:
            raise ValueError(
                f"`{name}` must hold token numbers from 0 to {vocabulary - 1}, got {numbers.min()} to "
                f"{numbers.max()}."
            )
    return array


def as_weights(name: str, value: ArrayLike, count: int) -> Array:
    """Constant factors, one for each of `count` rows; refuse anything else."""
    array = as_array(name, value)
    if array.shape != (count,):
        raise ValueError(
            f"`{name}` must be one for each of the {count} vectors, got the shape {array.shape}."
        )
    numbers = as_real(name, array)
    if numbers is not None and not np.all(np.isfinite(numbers)):
        raise ValueError(
            f"`{name}` must be finite, but {int(np.sum(~np.isfinite(numbers)))} of them are not."
        )
    return array.astype(jnp.float32)


def check_call(device: DeviceLike, key: KeyLike) -> None:
    """Refuse what is neither None nor a device, and what is neither None nor a key."""
    check_key("key", key)
    if device is not None:
        check_device(device)


def check_products(products: TextLike) -> None:
    """Refuse a place for products of matrices that is neither of the two."""
    check_choice("products", products, ("electronic", "device"))


def check_multiplier(device: DeviceLike, convolves: bool = False) -> None:
    """Refuse, for a layer with `products` device, a device that cannot compute all of it.

    Arguments:
        device: multiplies matrices; None does not have to.
        convolves: the layer has convolutions too.
    """
    if device is None:
        return
    can_convolve, can_multiply = map(device.supports, (AbstractDevice.convolve, AbstractDevice.matmul))
    if can_multiply and (can_convolve or not convolves):
        return
    lacking = "convolution" if can_multiply else "product of matrices"
    engine = "device" if can_convolve else "engine"
    multiplier = "device" if can_multiply else f"optics.CirculantMultiplier({engine})"
    remedy = f"optics.Devices(convolve={engine}, matmul={multiplier})" if convolves else multiplier
    raise ValueError(
        f"`device` {type(device).__name__} has no {lacking}, which a layer with `products` device needs; use "
        f"`{remedy}`."
    )


def check_mask(mask: ArrayLike | None, x: Array) -> None:
    """Refuse a mask that is not True or False for each token."""
    if mask is None:
        return
    is_mask = isinstance(mask, jax.Array | np.ndarray) and mask.dtype == bool
    if not is_mask or mask.shape != x.shape[:2]:
        raise ValueError(
            f"`mask` must be True or False for each token, of shape {x.shape[:2]}, got {describe(mask)}."
        )
