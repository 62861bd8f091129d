"""Numbers of a network that are not trained."""

from flax import nnx


class Fixed(nnx.Variable):
    """A weight that is not trained."""


def fix(layer: nnx.Module) -> None:
    """Keep every weight of a layer as it is, whatever is trained around it."""
    for _, module in nnx.iter_modules(layer):
        for name, value in vars(module).items():
            if isinstance(value, nnx.Param):
                setattr(module, name, Fixed(value[...]))
