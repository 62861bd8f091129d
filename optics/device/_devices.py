"""Several devices as one value."""

from jaxtyping import Array, Inexact

from optics._check import describe
from optics._typing import DeviceLike
from optics.device._device import AbstractDevice, Stage


class Devices(AbstractDevice):
    """One device that convolves and one that multiplies matrices, as one value that a network is called with.

    Arguments:
        convolve: convolves, and transforms if it can.
        matmul: multiplies matrices.

    Raises:
        ValueError: a device that cannot do what its argument names.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> engine = optics.presets.load("ideal", pixels=3)
        >>> devices = optics.Devices(convolve=engine, matmul=optics.CirculantMultiplier(engine))
        >>> optics.matmul(jnp.eye(2), jnp.ones((2, 2)), devices).round().tolist()[0]
        [1.0, 1.0]
    """

    convolver: AbstractDevice
    multiplier: AbstractDevice

    def __init__(self, convolve: DeviceLike, matmul: DeviceLike):
        for name, device, operation in (
            ("convolve", convolve, AbstractDevice.convolve),
            ("matmul", matmul, AbstractDevice.matmul),
        ):
            if not isinstance(device, AbstractDevice):
                raise ValueError(
                    f"`{name}` must be a device, such as `optics.presets.load(name)`, got {describe(device)}."
                )
            if not device.supports(operation):
                raise ValueError(
                    f"`{name}` must be a device with a method `{operation.__name__}`, but "
                    f"{type(device).__name__} has none of its own."
                )
        self.convolver, self.multiplier = convolve, matmul

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the planes that are convolved."""
        return self.convolver.shape

    @property
    def product_shape(self) -> tuple[int | None, int, int]:
        """That of the device that multiplies."""
        return self.multiplier.product_shape

    def supports(self, operation) -> bool:
        """Whether one of the two computes an operation."""
        device = self.multiplier if operation is AbstractDevice.matmul else self.convolver
        return device.supports(operation)

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution: arguments, result and errors are those of `AbstractDevice.convolve`."""
        return self.convolver.convolve(x, w, key)

    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One Fourier transform: arguments, result and errors are those of `AbstractDevice.transform`."""
        return self.convolver.transform(a, key, real)

    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """Product of matrices: arguments, result and errors are those of `AbstractDevice.matmul`."""
        return self.multiplier.matmul(a, b, key)

    def stages(self) -> tuple[Stage, ...]:
        """The stages of both, with the name of the device before theirs."""
        return tuple(
            stage._replace(name=f"{name}_{stage.name}")
            for name, device in (("convolver", self.convolver), ("multiplier", self.multiplier))
            for stage in device.stages()
        )

    def with_stages(self, **effects) -> "Devices":
        """The devices with other effects in the stages of these names."""
        parts = {"convolver": {}, "multiplier": {}}
        for name, chain in effects.items():
            device, _, stage = name.partition("_")
            parts[device][stage] = chain
        return Devices(
            self.convolver.with_stages(**parts["convolver"]),
            self.multiplier.with_stages(**parts["multiplier"]),
        )

    def subtract_background(self) -> "Devices":
        """The devices, each with its background measured and subtracted."""
        return Devices(self.convolver.subtract_background(), self.multiplier.subtract_background())
