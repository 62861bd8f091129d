"""Refusals that several layers share: they name the argument, what came and what would work."""

from typing import Any

from jaxtyping import Array

from optics._check import check_key, check_whole


def check_sizes(**sizes: Any) -> None:
    """Refuse, by name, a size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        check_whole(name, size, 1)


def check_heads(features: int, heads: int) -> None:
    """Refuse heads that cannot share the features evenly."""
    check_sizes(features=features, heads=heads)
    if features % heads:
        divisors = ", ".join(str(n) for n in range(1, features + 1) if features % n == 0)
        raise ValueError(f"`heads` must divide the {features} features, got {heads}; use one of {divisors}.")


def check_call(x: Array, features: int, key: Any) -> None:
    """Refuse tokens of another width than the layer's, and a key that is not one."""
    if x.ndim != 3 or x.shape[-1] != features:
        raise ValueError(f"`x` must have shape (batch, tokens, {features}), got {x.shape}.")
    check_key("key", key)
