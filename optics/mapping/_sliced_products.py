"""Products of matrices with more bits than the modulators have, in several exposures."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import check_instance, check_whole
from optics._program import as_one_program
from optics._typing import CountLike, DeviceLike
from optics.device import AbstractDevice, Stage
from optics.mapping._bit_slices import LARGEST_SLICES, bit_slices


class SlicedMultiplier(AbstractDevice):
    """A device that multiplies matrices whose numbers are split into slices of few bits.

        a b = Σ_st weight_s weight_t (slice_s of a) (slice_t of b)

    The converters of both modulators then affect only the remainder after the last slice (`bit_slices`); a
    pair of matrices takes slices² exposures. Noise and quantisation of the camera stay. Where every row of a
    is an exposure of its own, it has slices of its own.

    Arguments:
        multiplier: the device.
        bits: of the modulators' converters, sign included, 2 to 16; one more than those of a converter of
            powers, which has no sign. Exact only without gains before the modulators.
        slices: of each matrix, at least 1.

    Raises:
        ValueError: a `multiplier` that has no product of matrices, or `bits` or `slices` outside their range.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.presets.load("crossbar", inputs=8, outputs=8)
        >>> sliced = optics.mapping.SlicedMultiplier(device, bits=8, slices=2)
        >>> optics.matmul(jnp.eye(3), jnp.ones((3, 3)), sliced).round(1).tolist()[0]
        [1.0, 1.0, 1.0]
    """

    multiplier: AbstractDevice
    bits: int = eqx.field(static=True)
    slices: int = eqx.field(static=True)

    def __init__(self, multiplier: DeviceLike, bits: CountLike, slices: CountLike = 2):
        check_instance("multiplier", multiplier, AbstractDevice, '`optics.presets.load("crossbar")`')
        if not multiplier.supports(AbstractDevice.matmul):
            raise ValueError(
                f"`multiplier` must multiply matrices, but {type(multiplier).__name__} does not; use "
                "`optics.CirculantMultiplier` of a device that convolves."
            )
        check_whole("bits", bits, 2, 16)
        check_whole("slices", slices, 1, LARGEST_SLICES)
        self.multiplier, self.bits, self.slices = multiplier, int(bits), int(slices)

    @property
    def shape(self) -> tuple[int, int]:
        """That of the multiplier."""
        return self.multiplier.shape

    @property
    def product_shape(self) -> tuple[int | None, int, int]:
        """That of the multiplier."""
        return self.multiplier.product_shape

    @as_one_program
    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """The product of all pairs of slices, added in electronics.

        Arguments, result and errors: those of `AbstractDevice.matmul`.
        """
        # An axis for all leading axes of the other factor, so that slices come before them.
        missing = max(a.ndim, b.ndim)
        a, b = (x.reshape((1,) * (missing - x.ndim) + x.shape) for x in (a, b))
        if self.product_shape[0] is None:
            planes, weights = bit_slices(a[..., None, :], self.bits, self.slices)
            a_slices, a_weights = planes[..., 0, :], weights[..., 0, :]
        else:
            a_slices, a_weights = bit_slices(a, self.bits, self.slices)
        b_slices, b_weights = bit_slices(b, self.bits, self.slices)
        products = self.multiplier.matmul(a_slices[:, None], b_slices, key)
        return jnp.sum(a_weights[:, None] * b_weights * products, axis=(0, 1))

    def stages(self) -> tuple[Stage, ...]:
        """Those of the multiplier."""
        return self.multiplier.stages()

    def with_stages(self, **effects) -> "SlicedMultiplier":
        """The device with other effects in the stages of its multiplier."""
        return SlicedMultiplier(self.multiplier.with_stages(**effects), self.bits, self.slices)

    def subtract_background(self) -> "SlicedMultiplier":
        """The device with the background of its multiplier measured and subtracted."""
        return SlicedMultiplier(self.multiplier.subtract_background(), self.bits, self.slices)
