"""A Fourier engine that repeats exposures and averages them, where noise hurts most."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import check_instance, check_shape, check_whole
from optics._program import as_one_program
from optics._typing import CountLike, DeviceLike
from optics.device._device import AbstractDevice, Stage
from optics.device._fourier_processor import convolve_by_transforms

LARGEST_AVERAGE = 2**16


class Averaged(AbstractDevice):
    """A Fourier engine that takes each exposure several times and averages what it reads.

        F a ≈ 1/K Σ_k transform(a, draw k),   x ⊛ w = F⁻¹[ ⟨F x⟩ · ⟨F w⟩ ]

    The variance of noise falls by K, and exposures rise by K. The three kinds of transform of a convolution
    have counts of their own, for they are not equally many: a kernel is transformed once and meets every
    input, and each pair of input and kernel has a product. `optics.accounting.count` counts every exposure.

    Arguments:
        engine: a device with a transform, such as a `FourierProcessor`.
        inputs: K of the transforms of inputs, and of `transform`.
        kernels: K of the transforms of kernels.
        products: K of the transforms back.

    Raises:
        ValueError: an `engine` without a transform of its own, or a count that is no whole number from 1 to
            65,536.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> engine = optics.FourierProcessor(optics.dft(4), camera=(optics.effects.Read(0.01),))
        >>> device = optics.Averaged(engine, kernels=16)
        >>> x = jnp.ones((10, 4, 4))
        >>> optics.accounting.count(lambda d, key: optics.convolve(x, x[0], d, key), device).exposures
        36
    """

    engine: AbstractDevice
    inputs: int = eqx.field(static=True)
    kernels: int = eqx.field(static=True)
    products: int = eqx.field(static=True)

    def __init__(
        self, engine: DeviceLike, inputs: CountLike = 1, kernels: CountLike = 1, products: CountLike = 1
    ):
        check_instance("engine", engine, AbstractDevice, "`optics.presets.load(name)`")
        if not engine.supports(AbstractDevice.transform):
            raise ValueError(
                f"`engine` must have a transform of its own, but {type(engine).__name__} has none; use a "
                "`FourierProcessor`."
            )
        self.engine = engine
        counts = {"inputs": inputs, "kernels": kernels, "products": products}
        for name, count in counts.items():
            check_whole(name, count, 1, LARGEST_AVERAGE)
        self.inputs, self.kernels, self.products = map(int, counts.values())

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the engine."""
        return self.engine.shape

    @as_one_program
    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """The mean of `inputs` transforms.

        Arguments, result and errors: those of `AbstractDevice.transform`.
        """
        check_shape("a", a, self)
        return self._mean(self.inputs, a, key, real)

    @as_one_program
    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both, of averaged transforms.

        Arguments, result and errors: those of `AbstractDevice.convolve`.
        """

        def mean_of(count):
            return lambda a, key, real=False: self._mean(count, a, key, real)

        of_inputs, of_kernels, of_products = map(mean_of, (self.inputs, self.kernels, self.products))
        return convolve_by_transforms(of_inputs, x, w, key, of_kernels=of_kernels, of_products=of_products)

    def stages(self) -> tuple[Stage, ...]:
        """Those of the engine."""
        return self.engine.stages()

    def with_stages(self, **effects) -> "Averaged":
        """The device with other effects in the stages of its engine."""
        return Averaged(self.engine.with_stages(**effects), self.inputs, self.kernels, self.products)

    def subtract_background(self) -> "Averaged":
        """The device with the background of its engine measured and subtracted."""
        return Averaged(self.engine.subtract_background(), self.inputs, self.kernels, self.products)

    def _mean(self, count: int, a: Array, key: Array | None, real: bool) -> Array:
        """The mean of so many transforms; one is enough where there is no noise."""
        if key is None or count == 1:
            return self.engine.transform(a, key, real)
        repeated = jnp.broadcast_to(a, (count, *a.shape))
        return self.engine.transform(repeated, key, real).mean(0)
