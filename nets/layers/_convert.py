"""An existing network with its convolutions on a device."""

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array

from optics.gradients import gradient_rule
from optics.mapping import conv_general_dilated


def convert(model: Any, gradient: Any = None, exclude: Sequence[str] | Callable = ()) -> "Converted":
    """The same network, called as `converted(x, device, key)`, with every `flax.nnx.Conv` in it computed by the device.

    The weights are shared with `model`, which itself is left as it is: training either trains both. A convolution finds its
    place in the network by name, as in "blocks.0.conv".

    Arguments:
        model: any module with `flax.nnx.Conv` of one or two spatial axes somewhere in it.
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        exclude: what stays exact: names (of convolutions, or of what holds them), or a function (name, module) -> bool.

    Returns:
        `Converted`.

    Raises:
        ValueError: `model` is no module or has no convolution that is not excluded, `exclude` names what is not there, an
            unknown `gradient`; a convolution over three axes or a transposed one (`flax.nnx.ConvTranspose` has no place for
            a convolution of ours), unless excluded.
    """
    if not isinstance(model, nnx.Module):
        raise ValueError(f"`model` must be a flax.nnx.Module, got {model!r}.")
    gradient_rule(gradient)
    # The order of the graph is that of names; a module that is used twice is in it once.
    found = {
        path: module
        for path, module in nnx.iter_graph(model, graph=True)
        if isinstance(module, nnx.Conv | nnx.ConvTranspose)
    }
    chosen = _without(found, exclude)
    for path, module in chosen.items():
        stay = f'; give its name in `exclude=["{_name(path)}"]` to leave it exact.'
        if isinstance(module, nnx.ConvTranspose):
            raise ValueError(
                f"`model` has a transposed convolution, {_name(path)}, which flax gives no way to compute otherwise{stay}"
            )
        if len(module.kernel_size) > 2:
            raise ValueError(
                f"`model` has a convolution over {len(module.kernel_size)} axes, {_name(path)}; a device has two{stay}"
            )
    if not chosen:
        held = f"all of {_listed(found)} are excluded" if found else f"{type(model).__name__} has none"
        raise ValueError(f"`model` must have a flax.nnx.Conv to be made optical; {held}.")
    return Converted(model, tuple(chosen), gradient)


class Converted(nnx.Module):
    """A network whose convolutions a device computes; made by `convert`.

    Attributes:
        model: the network as it was; its weights are the only ones.
        paths: of the convolutions in it.
        gradient: the rule.
    """

    def __init__(self, model: nnx.Module, paths: tuple, gradient: Any):
        self.model, self.paths, self.gradient = model, paths, gradient

    def __call__(self, x: Any, device: Any = None, key: Array | None = None, **others: Any) -> Any:
        """What the network says, its convolutions computed by the device.

        Each convolution draws its own noise, numbered in the order of calls; in a loop that compiles its body once
        (`jax.lax.scan`), all turns draw the same. Variables change as they do in the network (statistics of
        normalization, counts of keys).

        Arguments:
            x: its first argument.
            device: None is the network as it was, to the bit.
            key: of the device's noise, consumed; None gives the expected value.
            others: its other arguments, by name.
        """
        if device is None:
            return self.model(x, **others)
        numbers = itertools.count()

        def convolution(*args, **kwargs):
            own = None if key is None else jax.random.fold_in(key, next(numbers))
            return conv_general_dilated(device, own, self.gradient)(*args, **kwargs)

        return with_convolution(self.model, convolution, self.paths)(x, **others)


def with_convolution(model: nnx.Module, convolution: Callable, paths: Collection[tuple]) -> Any:
    """A twin of `model` with its variables, in which `convolution` does what the convolutions at `paths` do.

    It is made anew for each call, so that device and key, which may be traced, stay in no module that outlives the trace.
    """
    twin = nnx.unflatten(*nnx.flatten(model, graph=True))
    for path, module in nnx.iter_graph(twin, graph=True):
        if path in paths:
            module.conv_general_dilated = convolution
    return twin


def _without(found: dict[tuple, nnx.Module], exclude: Sequence[str] | Callable) -> dict[tuple, nnx.Module]:
    if callable(exclude):
        return {path: module for path, module in found.items() if not exclude(_name(path), module)}
    if isinstance(exclude, str) or not all(isinstance(name, str) for name in exclude):
        raise ValueError(f"`exclude` must be names or a function (name, module) -> bool, got {exclude!r}.")
    chosen = dict(found)
    for name in exclude:
        under = [path for path in found if f"{_name(path)}.".startswith(f"{name}.")]
        if not under:
            raise ValueError(
                f"`exclude` has {name!r}, where `model` has no convolution; it has {_listed(found) or 'none'}."
            )
        for path in under:
            chosen.pop(path, None)
    return chosen


def _name(path: tuple) -> str:
    return ".".join(map(str, path))


def _listed(found: dict[tuple, nnx.Module]) -> str:
    return ", ".join(map(_name, found))
