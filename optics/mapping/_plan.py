"""Leading axes along which a kernel does not change: what lies along them may share a frame."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Inexact


@dataclasses.dataclass(frozen=True)
class Plan:
    """The planes that a mapping shows to a device.

    Every mapping amounts to convolutions of `x_planes` planes with `w_planes` planes. A Fourier engine transforms each of
    them once and each product back; a correlator or a joint transform correlator takes an exposure for each product.

    Attributes:
        tile: pixels (rows, columns) of every plane.
        x_planes: planes of the input, leading axes included.
        w_planes: planes of the kernel; a kernel is shown again in each turn of a mapping that memory keeps from one turn.
        products: circular convolutions, one for each pair of planes that meet.
    """

    tile: tuple[int, int]
    x_planes: int
    w_planes: int
    products: int

    @property
    def transforms(self) -> int:
        """Optical transforms on a Fourier engine: of the inputs, of the kernels, and one back for each product."""
        return self.x_planes + self.w_planes + self.products


def split(
    x_shape: Sequence[int], w_shape: Sequence[int], axes: int
) -> tuple[list[int], tuple[int, ...], tuple[int, ...]]:
    """Which leading axes are shared, and the leading shapes of input and kernel that remain, of as many axes each.

    Arguments:
        x_shape, w_shape: of arrays whose leading axes broadcast.
        axes: how many of the last axes are spatial.

    Returns:
        the axes along which only x varies; leading shapes with 1 in their place.
    """
    count = max(len(x_shape), len(w_shape)) - axes
    x_lead, w_lead = (
        (1,) * (count + axes - len(shape)) + tuple(shape[: len(shape) - axes]) for shape in (x_shape, w_shape)
    )
    shared = [axis for axis in range(count) if w_lead[axis] == 1]
    return shared, tuple(1 if axis in shared else n for axis, n in enumerate(x_lead)), w_lead


def share(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], axes: int
) -> tuple[Inexact[Array, "items *xlead"], Inexact[Array, "*wlead"], Callable]:
    """Input with its shared axes made one axis in front, kernel, and the function that puts them back in the result."""
    shared, x_lead, w_lead = split(x.shape, w.shape, axes)
    x = x.reshape((1,) * (len(x_lead) + axes - x.ndim) + x.shape)
    sizes = [x.shape[axis] for axis in shared]
    items = jnp.moveaxis(x, shared, range(len(shared))).reshape(-1, *x_lead, *x.shape[x.ndim - axes :])

    def back(y):
        kept = [n for axis, n in enumerate(y.shape[1 : y.ndim - axes]) if axis not in shared]
        y = y.reshape(*sizes, *kept, *y.shape[y.ndim - axes :])
        return jnp.moveaxis(y, range(len(shared)), shared)

    return items, w.reshape(*w_lead, *w.shape[w.ndim - axes :]), back


def counts(x_shape: Sequence[int], w_shape: Sequence[int], axes: int) -> tuple[int, int, int, int]:
    """How many items share each kernel, and how many inputs, kernels and pairs of them there are besides."""
    _, x_lead, w_lead = split(x_shape, w_shape, axes)
    items = math.prod(x_shape[: len(x_shape) - axes]) // math.prod(x_lead)
    return items, math.prod(x_lead), math.prod(w_lead), math.prod(jnp.broadcast_shapes(x_lead, w_lead))
