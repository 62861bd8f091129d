"""Flax's convolutions on a device: as a layer, and in a network that already exists."""

import itertools
import math
from collections.abc import Callable, Collection
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Inexact

from nets._check import check_call, check_rngs, check_sizes
from optics._check import as_array, as_counts, check_memory, describe
from optics._typing import (
    ArrayLike,
    CountLike,
    DeviceLike,
    GradientLike,
    KeyLike,
    PartLike,
    ShapeLike,
    TextLike,
)
from optics.gradients import gradient_rule
from optics.mapping import conv_general_dilated

PADDINGS = ("SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL")


class OpticalConv(nnx.Conv):
    """`flax.nnx.Conv`, with its arguments and weights, computed by a device.

        y[n, i, o] = bias[o] + Σ_c Σ_u kernel[u, c, o] x[n, stride · i + u, c]

    Arguments:
        in_features, out_features: channels.
        kernel_size: taps, a number or (taps,) for one spatial axis, (rows, columns) for two.
        strides, padding: as in `flax.nnx.Conv`: "SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL", numbers or
            pairs.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.
        options: the other arguments of `flax.nnx.Conv`: kernel_dilation, feature_group_count, use_bias,
            dtype, …

    Raises:
        ValueError: more than two spatial axes, an unknown `gradient`, or an argument `conv_general_dilated`,
            whose place the device takes.

    Example:
        >>> import jax, nets, optics
        >>> from flax import nnx
        >>> conv, device = nets.OpticalConv(1, 4, (3, 3), rngs=nnx.Rngs(0)), optics.presets.load("ideal")
        >>> print(conv(jax.numpy.ones((2, 8, 8, 1)), device).shape)
        (2, 8, 8, 4)
    """

    def __init__(
        self,
        in_features: CountLike,
        out_features: CountLike,
        kernel_size: ShapeLike,
        strides: ShapeLike = 1,
        padding: TextLike | ShapeLike = "SAME",
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
        **options: Any,
    ):
        gradient_rule(gradient)
        check_sizes(in_features=in_features, out_features=out_features)
        taps = _as_axes("kernel_size", kernel_size)
        if len(taps) not in (1, 2):
            raise ValueError(
                "`kernel_size` must have one or two spatial axes, because a device convolves planes; got "
                f"{taps}."
            )
        steps = _as_axes("strides", strides)
        if isinstance(strides, tuple | list) and len(steps) != len(taps):
            raise ValueError(
                f"`strides` must be one number, or {len(taps)} as in `kernel_size`, got {steps}."
            )
        check_padding(padding)
        check_memory(
            "out_features", out_features, math.prod(taps) * in_features * out_features, "the kernels"
        )
        check_rngs(rngs)
        if "conv_general_dilated" in options:
            raise ValueError(
                "`conv_general_dilated` must be left out; give the `device` to the call instead."
            )
        super().__init__(
            in_features, out_features, kernel_size, strides, padding=padding, rngs=rngs, **options
        )
        self.gradient = gradient

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        out_sharding: Any = None,
    ) -> Inexact[Array, "*out out_features"]:
        """Convolve.

        Arguments:
            x: shape (..., length, in_features) or (..., rows, columns, in_features), any unit.
            device: computes the convolutions, at any size of its planes; None is the exact convolution.
            key: of the device's noise, consumed; None computes without noise.
            out_sharding: of the result on a mesh, as in `flax.nnx.Conv`.

        Raises:
            ValueError: not a device, or a bad key.
        """
        x = as_array("x", x)
        axes = len(self.kernel_size)
        if x.ndim <= axes or x.shape[-1] != self.in_features:
            space = "length" if axes == 1 else "rows, columns"
            raise ValueError(f"`x` must have shape (..., {space}, {self.in_features}), got {x.shape}.")
        check_call(device, key)
        if device is None:
            return super().__call__(x, out_sharding)
        optical = _with_convolution(self, conv_general_dilated(device, key, self.gradient), [()])
        return nnx.Conv.__call__(optical, x, out_sharding)


def convert(model: PartLike, gradient: GradientLike = None, exclude: PartLike = ()) -> "Converted":
    """The same network with every `flax.nnx.Conv` in it computed by a device.

    The result is called as `converted(x, device, key)`. It shares its weights with `model`, which does not
    change: training either trains both. A convolution is named by its place in the network, as in
    "blocks.0.conv".

    Arguments:
        model: any module that holds `flax.nnx.Conv` of one or two spatial axes.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        exclude: convolutions that stay exact: their names, names of modules that hold them, or a function
            (name, module) -> bool.

    Returns:
        `Converted`.

    Raises:
        ValueError: `model` is not a module, or has no convolution outside `exclude`; `exclude` names a part
            without convolutions; an unknown `gradient`; a convolution over three axes or a transposed one,
            unless excluded (`flax.nnx.ConvTranspose` does not accept another convolution).

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
    convolutions = {
        path: module
        for path, module in nnx.iter_graph(model, graph=True)
        if isinstance(module, nnx.Conv | nnx.ConvTranspose)
    }
    optical = _without(convolutions, exclude)
    for path, module in optical.items():
        remedy = f'; leave it exact with `exclude=["{_name(path)}"]`.'
        if isinstance(module, nnx.ConvTranspose):
            raise ValueError(
                f"`model` has a transposed convolution, {_name(path)}, which flax cannot give to a device"
                f"{remedy}"
            )
        if len(module.kernel_size) > 2:
            raise ValueError(
                f"`model` has a convolution over {len(module.kernel_size)} axes, {_name(path)}; "
                f"a device has two{remedy}"
            )
    if not optical:
        reason = (
            f"all of {_names(convolutions)} are excluded"
            if convolutions
            else f"{type(model).__name__} has none"
        )
        raise ValueError(f"`model` must have a flax.nnx.Conv to be made optical; {reason}.")
    return Converted(model, tuple(optical), gradient)


def _as_axes(name: str, value: ShapeLike) -> tuple[int, ...]:
    """One whole number, of one axis, or one for each axis."""
    return as_counts(name, value if isinstance(value, tuple | list) else (value,))


def check_padding(padding: TextLike | ShapeLike) -> None:
    """Refuse what flax does not take for the padding of a convolution."""
    if isinstance(padding, str):
        is_padding = padding.upper() in PADDINGS
    else:
        numbers = padding if isinstance(padding, tuple | list) else (padding,)
        flat = [n for pair in numbers for n in (pair if isinstance(pair, tuple | list) else (pair,))]
        is_padding = bool(flat) and all(isinstance(n, int) and not isinstance(n, bool) for n in flat)
    if not is_padding:
        raise ValueError(
            f"`padding` must be {', '.join(PADDINGS)}, numbers or pairs of them, got {describe(padding)}."
        )


class Converted(nnx.Module):
    """A network whose convolutions a device computes; made by `convert`.

    Attributes:
        model: the network, which holds all weights.
        paths: of the convolutions in it.
        gradient: the rule.
    """

    def __init__(self, model: nnx.Module, paths: tuple, gradient: GradientLike):
        self.model, self.paths, self.gradient = model, paths, gradient

    def __call__(self, x: Any, device: DeviceLike = None, key: KeyLike = None, **others: Any) -> Any:
        """Run the network with its convolutions on the device.

        Each convolution draws its own noise, numbered in the order of calls. A loop that compiles its body
        once (`jax.lax.scan`) draws the same noise in every turn. Variables change as they do in the network
        (statistics of normalization, counts of keys).

        Arguments:
            x: the network's first argument.
            device: computes the convolutions; None is the network itself, to the bit.
            key: of the device's noise, consumed; None computes without noise.
            others: the network's other arguments, by name.

        Raises:
            ValueError: not a device, or a bad key.
        """
        check_call(device, key)
        if device is None:
            return self.model(x, **others)
        calls = itertools.count()

        def convolution(*args, **kwargs):
            call_key = None if key is None else jax.random.fold_in(key, next(calls))
            return conv_general_dilated(device, call_key, self.gradient)(*args, **kwargs)

        return _with_convolution(self.model, convolution, self.paths)(x, **others)


def _with_convolution(model: nnx.Module, convolution: Callable, paths: Collection[tuple]) -> nnx.Module:
    """A copy of `model` with the same variables, whose modules at `paths` call `convolution`.

    It is made for each call: device and key, which may be traced, must not stay in a module that outlives the
    trace.
    """
    copy = nnx.unflatten(*nnx.flatten(model, graph=True))
    for path, module in nnx.iter_graph(copy, graph=True):
        if path in paths:
            module.conv_general_dilated = convolution
    return copy


def _without(convolutions: dict[tuple, nnx.Module], exclude: PartLike) -> dict[tuple, nnx.Module]:
    """The convolutions that `exclude` leaves."""
    if callable(exclude):
        return {path: module for path, module in convolutions.items() if not exclude(_name(path), module)}
    is_collection = isinstance(exclude, Collection) and not isinstance(exclude, str | bytes | dict)
    if not is_collection or not all(isinstance(name, str) for name in exclude):
        raise ValueError(
            f"`exclude` must be names or a function (name, module) -> bool, got {describe(exclude)}."
        )
    rest = dict(convolutions)
    for name in exclude:
        excluded = [path for path in convolutions if f"{_name(path)}.".startswith(f"{name}.")]
        if not excluded:
            raise ValueError(
                f"`exclude` has {name!r}, where `model` has no convolution; it has "
                f"{_names(convolutions) or 'none'}."
            )
        for path in excluded:
            rest.pop(path, None)
    return rest


def _name(path: tuple) -> str:
    return ".".join(map(str, path))


def _names(convolutions: dict[tuple, nnx.Module]) -> str:
    return ", ".join(map(_name, convolutions))
