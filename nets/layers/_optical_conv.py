"""Flax's convolution on a device."""

import math
from typing import Any

from flax import nnx
from jaxtyping import Array, Inexact

from nets._check import check_call, check_rngs, check_sizes
from nets.layers._hooks import with_hooks
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
        hook = conv_general_dilated(device, key, self.gradient)
        optical = with_hooks(self, {(): {"conv_general_dilated": hook}})
        return nnx.Conv.__call__(optical, x, out_sharding)


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
