"""Weights that training does not change."""

from flax import nnx

from optics._check import describe
from optics._typing import PartLike


class Frozen(nnx.Variable):
    """A weight that is saved and not trained: gradients and optimizers look for `flax.nnx.Param`."""


def freeze(layer: PartLike) -> None:
    """Make every weight of a layer `Frozen`, in place; the rest of the network trains as before.

    Arguments:
        layer: any module; statistics and other variables stay what they are.

    Raises:
        ValueError: `layer` is no module.
    """
    if not isinstance(layer, nnx.Module):
        raise ValueError(f"`layer` must be a `flax.nnx.Module`, got {describe(layer)}.")
    for _, module in nnx.iter_modules(layer):
        for name, value in vars(module).items():
            if isinstance(value, nnx.Param):
                setattr(module, name, Frozen(value[...]))
