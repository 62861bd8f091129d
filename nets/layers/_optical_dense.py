"""Flax's linear layer on a device."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Inexact

from nets._check import check_call, check_rngs, check_sizes
from nets.layers._hooks import with_hooks
from optics._check import as_array, check_memory
from optics._typing import ArrayLike, CountLike, DeviceLike, GradientLike, KeyLike, PartLike
from optics.gradients import gradient_rule
from optics.mapping import dot_general


class OpticalDense(nnx.Linear):
    """`flax.nnx.Linear`, with its arguments and weights, computed by a device.

        y[n, o] = bias[o] + Σ_i x[n, i] kernel[i, o]

    Arguments:
        in_features, out_features: numbers of an input and of a result.
        gradient: "simulator" (also None), "ideal", "optical", or a wrapper such as `optics.ideal_gradient`.
        rngs: for the initial weights.
        options: the other arguments of `flax.nnx.Linear`: use_bias, dtype, kernel_init, …

    Raises:
        ValueError: sizes below 1, an unknown `gradient`, or an argument `dot_general`, whose place the device
            takes.

    Example:
        >>> import jax, nets, optics
        >>> from flax import nnx
        >>> device = optics.CirculantMultiplier(optics.presets.load("ideal"))
        >>> dense = nets.OpticalDense(5, 3, rngs=nnx.Rngs(0))
        >>> print(dense(jax.numpy.ones((2, 4, 5)), device).shape)
        (2, 4, 3)
    """

    def __init__(
        self,
        in_features: CountLike,
        out_features: CountLike,
        *,
        gradient: GradientLike = None,
        rngs: PartLike,
        **options: Any,
    ):
        gradient_rule(gradient)
        check_sizes(in_features=in_features, out_features=out_features)
        check_memory("out_features", out_features, in_features * out_features, "the weights")
        check_rngs(rngs)
        if "dot_general" in options:
            raise ValueError("`dot_general` must be left out; give the `device` to the call instead.")
        super().__init__(in_features, out_features, rngs=rngs, **options)
        self.gradient = gradient

    def __call__(
        self,
        x: ArrayLike,
        device: DeviceLike = None,
        key: KeyLike = None,
        out_sharding: Any = None,
    ) -> Inexact[Array, "*lead out_features"]:
        """Multiply.

        Arguments:
            x: shape (..., in_features), any unit.
            device: multiplies matrices; None is the exact product.
            key: of the device's noise, consumed; None computes without noise.
            out_sharding: of the result on a mesh, as in `flax.nnx.Linear`.

        Raises:
            ValueError: vectors of another width, not a device, one that has no product of matrices, or a bad
                key.
        """
        x = as_array("x", x)
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ValueError(f"`x` must have shape (..., {self.in_features}), got {x.shape}.")
        check_call(device, key)
        if device is None:
            return super().__call__(x, out_sharding)
        optical = with_hooks(self, {(): {"dot_general": dot_general(device, key, self.gradient)}})
        return nnx.Linear.__call__(optical, x, out_sharding)
