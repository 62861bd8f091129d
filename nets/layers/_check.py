"""Refusals shared by the layers: they name the argument, what came and what would work."""

from typing import Any

from jaxtyping import Array


def at_least_one(**values: Any) -> None:
    """Refuse, by name, what is not a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")


def one_of(name: str, value: Any, choices: tuple) -> None:
    """Refuse a value that is not among `choices`."""
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        *most, last = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices]
        raise ValueError(f"`{name}` must be {', '.join(most)} or {last}, got {value!r}.")


def divides(features: int, heads: int) -> None:
    """Refuse heads that do not share the features out evenly."""
    at_least_one(features=features, heads=heads)
    if features % heads:
        fitting = ", ".join(str(n) for n in range(1, features + 1) if features % n == 0)
        raise ValueError(f"`heads` must divide the {features} features, got {heads}; use one of {fitting}.")


def has_width(x: Array, features: int) -> None:
    """Refuse vectors of another width than the layer's."""
    if x.ndim != 3 or x.shape[-1] != features:
        raise ValueError(f"`x` must have shape (batch, tokens, {features}), got {x.shape}.")
