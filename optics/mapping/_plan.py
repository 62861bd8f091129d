"""The planes that a mapping brings to a device, and the leading axes along which inputs may share a plane."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import describe
from optics._typing import PlanLike


@dataclasses.dataclass(frozen=True)
class Plan:
    """The planes that a mapping brings to a device.

    Every mapping amounts to convolutions of `x_planes` planes with `w_planes` planes. A Fourier engine
    transforms each of them once and each product back. A correlator or a joint transform correlator takes an
    exposure for each product.

    Attributes:
        tile: pixels (rows, columns) of every plane.
        x_planes: planes of the input, leading axes included.
        w_planes: planes of the kernel. A mapping that runs in several chunks to save memory brings its
            kernels to the device again in each.
        products: circular convolutions, one for each pair of planes that meet.
    """

    tile: tuple[int, int]
    x_planes: int
    w_planes: int
    products: int

    @property
    def transforms(self) -> int:
        """Optical transforms on a Fourier engine: one of each plane, and one back for each product."""
        return self.x_planes + self.w_planes + self.products


def choose_plan(
    plan: PlanLike, kind: type[Plan], make: Callable, sizes: tuple, choices: Sequence[str] = ()
) -> Plan:
    """The plan that a caller gave, or the best one.

    Arguments:
        plan: given, or None.
        kind: its class.
        make: makes the best plan, of `sizes` and then, for a plan that was not left to it, of `choices`.
        sizes: shapes of the input, the kernel and the device, and the boundary.
        choices: attributes of a plan that a caller may have chosen.

    Raises:
        ValueError: a plan for other arrays or another device.
    """
    if plan is None:
        return make(*sizes)
    if (
        not isinstance(plan, kind)
        or plan.tile != sizes[2]
        or plan != make(*sizes, *(getattr(plan, name) for name in choices))
    ):
        chosen = f", with or without a {' and a '.join(choices)}" if choices else ""
        raise ValueError(f"`plan` must be that of `{make.__name__}{sizes}`{chosen}; got {describe(plan)}.")
    return plan


def count_planes(x_lead: Sequence[int], w_lead: Sequence[int]) -> tuple[int, int, int]:
    """The numbers of inputs, of kernels and of pairs of them, from leading shapes that broadcast."""
    pairs = jnp.broadcast_shapes(tuple(x_lead), tuple(w_lead))
    return math.prod(x_lead), math.prod(w_lead), math.prod(pairs)


def match_axes(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"]
) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """Both arrays with the same number of axes: new axes of length 1 in front, as broadcasting adds them."""
    axes = max(x.ndim, w.ndim)
    return x.reshape((1,) * (axes - x.ndim) + x.shape), w.reshape((1,) * (axes - w.ndim) + w.shape)


class SharedAxes(NamedTuple):
    """Leading axes along which the kernel does not change, so that the inputs along them may share a plane.

    Attributes:
        axes: along which only the input varies.
        x_lead, w_lead: leading shapes of input and kernel, padded to the same number of axes, with 1 in place
            of those.
        items: inputs along the shared axes, in all.
    """

    axes: tuple[int, ...]
    x_lead: tuple[int, ...]
    w_lead: tuple[int, ...]
    items: int


def shared_axes(x_shape: Sequence[int], w_shape: Sequence[int], spatial: int) -> SharedAxes:
    """The shared axes of arrays whose leading axes broadcast and whose last `spatial` axes are spatial."""
    count = max(len(x_shape), len(w_shape)) - spatial
    x_lead, w_lead = (
        (1,) * (count + spatial - len(shape)) + tuple(shape[: len(shape) - spatial])
        for shape in (x_shape, w_shape)
    )
    shared = tuple(axis for axis in range(count) if w_lead[axis] == 1)
    items = math.prod(x_lead[axis] for axis in shared)
    return SharedAxes(shared, tuple(1 if i in shared else n for i, n in enumerate(x_lead)), w_lead, items)


def merge_shared_axes(
    x: Inexact[Array, "*x"], w: Inexact[Array, "*w"], spatial: int
) -> tuple[Inexact[Array, "items *xlead"], Inexact[Array, "*wlead"], Callable]:
    """The input with its shared axes merged in front, the kernel, and the function that splits them again.

    The function takes a result of the shape (items, ...) and returns it in the axis order of x * w.
    """
    shared, x_lead, w_lead, _ = shared_axes(x.shape, w.shape, spatial)
    x = x.reshape((1,) * (len(x_lead) + spatial - x.ndim) + x.shape)
    sizes = [x.shape[axis] for axis in shared]
    items = jnp.moveaxis(x, shared, range(len(shared))).reshape(-1, *x_lead, *x.shape[x.ndim - spatial :])

    def split_shared_axes(y):
        lead = [n for axis, n in enumerate(y.shape[1 : y.ndim - spatial]) if axis not in shared]
        y = y.reshape(*sizes, *lead, *y.shape[y.ndim - spatial :])
        return jnp.moveaxis(y, range(len(shared)), shared)

    return items, w.reshape(*w_lead, *w.shape[w.ndim - spatial :]), split_shared_axes
