"""The convolution that a device computes, as a layer of its own."""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Inexact

from nets.layers._convert import with_convolution
from optics.gradients import gradient_rule
from optics.mapping import conv_general_dilated


class OpticalConv(nnx.Conv):
    """A convolution over one or two spatial axes, with `flax.nnx.Conv`'s arguments and weights, computed by a device.

        y[n, i, o] = bias[o] + Σ_c Σ_u kernel[u, c, o] x[n, stride · i + u, c]

    Arguments:
        in_features, out_features: channels.
        kernel_size: taps, a number or (taps,) for one spatial axis, (rows, columns) for two.
        strides, padding: as in `flax.nnx.Conv`: "SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL", numbers or pairs.
        gradient: "simulator" (None means that), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.
        options: the other arguments of `flax.nnx.Conv`: kernel_dilation, feature_group_count, use_bias, dtype, …

    Raises:
        ValueError: more than two spatial axes, an unknown `gradient`, or `conv_general_dilated`, which the device is.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Any = "SAME",
        *,
        gradient: Any = None,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        gradient_rule(gradient)
        if not isinstance(kernel_size, int) and len(kernel_size) not in (1, 2):
            raise ValueError(
                f"`kernel_size` must have one or two spatial axes, for a device convolves planes; got {tuple(kernel_size)}."
            )
        if "conv_general_dilated" in options:
            raise ValueError(
                "`conv_general_dilated` is what the device does; give the `device` to the call instead."
            )
        super().__init__(
            in_features, out_features, kernel_size, strides, padding=padding, rngs=rngs, **options
        )
        self.gradient = gradient

    def __call__(
        self,
        x: Inexact[Array, "*batch in_features"],
        device: Any = None,
        key: Array | None = None,
        out_sharding: Any = None,
    ) -> Inexact[Array, "*out out_features"]:
        """Convolve.

        Arguments:
            x: shape (..., length, in_features) or (..., rows, columns, in_features), any unit.
            device: computes the convolutions, at any size of its planes; None is the exact convolution.
            key: of the device's noise, consumed; None gives the expected value.
            out_sharding: of the result on a mesh, as in `flax.nnx.Conv`.
        """
        if device is None:
            return super().__call__(x, out_sharding)
        twin = with_convolution(self, conv_general_dilated(device, key, self.gradient), [()])
        return nnx.Conv.__call__(twin, x, out_sharding)
