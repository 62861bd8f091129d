"""A network that already exists, with its convolutions and products of matrices on a device."""

import itertools
from collections.abc import Collection
from typing import Any

from flax import nnx

from nets._check import check_call
from nets.layers._einsum import einsum_of, is_product
from nets.layers._hooks import with_hooks
from nets.layers.attention import dot_product_attention_of
from optics._check import describe
from optics._keys import fold_key
from optics._typing import DeviceLike, GradientLike, KeyLike, PartLike
from optics.device import AbstractDevice
from optics.gradients import gradient_rule
from optics.mapping import conv_general_dilated, dot_general
from optics.products import matmul

CONVOLUTIONS = nnx.Conv | nnx.ConvTranspose


def convert(model: PartLike, gradient: GradientLike = None, exclude: PartLike = ()) -> "Converted":
    """The same network with its convolutions and products of matrices computed by a device.

    The result is called as `converted(x, device, key)`. It shares its weights with `model`, which does not
    change: training either trains both. The device decides what becomes optical: one that convolves takes the
    convolutions, one that multiplies matrices the products, and `optics.Devices` both; the rest stays exact.

        on the device              what of it
        nnx.Conv                   its convolution
        nnx.Linear, LinearGeneral  its product with the kernel
        nnx.Einsum                 the same, where its letters are one product of matrices
        nnx.MultiHeadAttention     its projections, which are LinearGeneral, and the products of queries and
                                   keys and of weights and values, unless it has an `attention_fn` of its own

    A part is named by its place in the network, as in "blocks.0.conv". The name of an attention stands for
    its projections too.

    Arguments:
        model: any module that holds such parts; convolutions have one or two spatial axes.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        exclude: parts that stay exact: their names, names of modules that hold them, or a function
            (name, module) -> bool.

    Returns:
        `Converted`.

    Raises:
        ValueError: `model` is not a module, or has no such part outside `exclude`; `exclude` names a module
            without any; an unknown `gradient`; a convolution over three axes or a transposed one, unless
            excluded (`flax.nnx.ConvTranspose` does not accept another convolution).

    Example:
        >>> import jax, nets, optics
        >>> from flax import nnx
        >>> network = nnx.Sequential(nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0)), jax.nn.relu)
        >>> print(nets.convert(network)(jax.numpy.ones((1, 4, 4, 1)), optics.presets.load("ideal")).shape)
        (1, 4, 4, 2)
    """
    if not isinstance(model, nnx.Module):
        raise ValueError(f"`model` must be a flax.nnx.Module, got {describe(model)}.")
    gradient_rule(gradient)
    # The graph is walked in the order of names; a module that is used twice is in it once.
    parts = {
        path: module
        for path, module in nnx.iter_graph(model, graph=True)
        if isinstance(module, CONVOLUTIONS) or _has_product(module)
    }
    optical = _without(parts, exclude)
    for path, module in optical.items():
        remedy = f'; leave it exact with `exclude=["{_name(path)}"]`.'
        if isinstance(module, nnx.ConvTranspose):
            raise ValueError(
                f"`model` has a transposed convolution, {_name(path)}, which flax cannot give to a device"
                f"{remedy}"
            )
        if isinstance(module, nnx.Conv) and len(module.kernel_size) > 2:
            raise ValueError(
                f"`model` has a convolution over {len(module.kernel_size)} axes, {_name(path)}; "
                f"a device has two{remedy}"
            )
    if not optical:
        reason = f"all of {_names(parts)} are excluded" if parts else f"{type(model).__name__} has none"
        raise ValueError(
            "`model` must have a convolution or a product of matrices to be made optical, a flax.nnx.Conv, "
            f"Linear, LinearGeneral, Einsum or MultiHeadAttention; {reason}."
        )
    return Converted(model, tuple(optical), gradient)


class Converted(nnx.Module):
    """A network whose convolutions and products of matrices a device computes; made by `convert`.

    Attributes:
        model: the network, which holds all weights.
        paths: of the parts in it that a device can compute.
        gradient: the rule.
    """

    def __init__(self, model: nnx.Module, paths: tuple, gradient: GradientLike):
        self.model, self.paths, self.gradient = model, paths, gradient

    def __call__(self, x: Any, device: DeviceLike = None, key: KeyLike = None, **others: Any) -> Any:
        """Run the network with the parts that the device can compute on the device.

        Each convolution and product draws its own noise, numbered in the order of calls. A loop that compiles
        its body once (`jax.lax.scan`) draws the same noise in every turn. Variables change as they do in the
        network (statistics of normalization, counts of keys, caches of attention).

        Arguments:
            x: the network's first argument.
            device: computes the convolutions, the products of matrices, or both; None is the network itself,
                to the bit.
            key: of the device's noise, consumed; None computes without noise.
            others: the network's other arguments, by name.

        Raises:
            ValueError: not a device, one that computes no part of the network, or a bad key.
        """
        check_call(device, key)
        if device is None:
            return self.model(x, **others)
        return with_hooks(self.model, self._hooks(device, key))(x, **others)

    def _hooks(self, device, key):
        """What the parts compute with, by path."""
        numbers, rule = itertools.count(), gradient_rule(self.gradient)

        def next_key():
            return fold_key(key, next(numbers))

        def convolve(*args, **kwargs):
            return conv_general_dilated(device, next_key(), self.gradient)(*args, **kwargs)

        def contract(*args, **kwargs):
            return dot_general(device, next_key(), self.gradient)(*args, **kwargs)

        def multiply(a, b):
            return rule(matmul)(a, b, device=device, key=next_key())

        of_kinds = []
        if device.supports(AbstractDevice.convolve):
            of_kinds.append((nnx.Conv, {"conv_general_dilated": convolve}))
        if device.supports(AbstractDevice.matmul):
            of_kinds += [
                (nnx.Linear, {"dot_general": contract}),
                (nnx.LinearGeneral, {"dot_general": contract, "dot_general_cls": None}),
                (nnx.Einsum, {"einsum_op": einsum_of(contract)}),
                (nnx.MultiHeadAttention, {"attention_fn": dot_product_attention_of(multiply)}),
            ]
        parts = {path: part for path, part in nnx.iter_graph(self.model, graph=True) if path in self.paths}
        hooks = {
            path: hook for path, part in parts.items() for kind, hook in of_kinds if isinstance(part, kind)
        }
        if not hooks:
            convolution = "one that convolves, such as a `FourierProcessor`"
            product = "one that multiplies matrices, such as `optics.CirculantMultiplier(engine)`"
            remedies = {convolution if isinstance(part, nnx.Conv) else product for part in parts.values()}
            raise ValueError(
                f"`device` {type(device).__name__} computes none of {', '.join(map(_name, self.paths))} in "
                f"`model`; use {' or '.join(sorted(remedies))}."
            )
        return hooks


def _has_product(module: object) -> bool:
    """Whether a module is a product of matrices that a device can take over."""
    if isinstance(module, nnx.Einsum):
        return is_product(module.einsum_str)
    if isinstance(module, nnx.MultiHeadAttention):
        return module.attention_fn is nnx.dot_product_attention
    return isinstance(module, nnx.Linear | nnx.LinearGeneral)


def _without(parts: dict[tuple, nnx.Module], exclude: PartLike) -> dict[tuple, nnx.Module]:
    """The parts that `exclude` leaves."""
    if callable(exclude):
        return {path: module for path, module in parts.items() if not exclude(_name(path), module)}
    is_collection = isinstance(exclude, Collection) and not isinstance(exclude, str | bytes | dict)
    if not is_collection or not all(isinstance(name, str) for name in exclude):
        raise ValueError(
            f"`exclude` must be names or a function (name, module) -> bool, got {describe(exclude)}."
        )
    rest = dict(parts)
    for name in exclude:
        excluded = [path for path in parts if f"{_name(path)}.".startswith(f"{name}.")]
        if not excluded:
            raise ValueError(
                f"`exclude` has {name!r}, where `model` has no convolution or product of matrices; it has "
                f"{_names(parts) or 'none'}."
            )
        for path in excluded:
            rest.pop(path, None)
    return rest


def _name(path: tuple) -> str:
    return ".".join(map(str, path))


def _names(parts: dict[tuple, nnx.Module]) -> str:
    return ", ".join(map(_name, parts))
