"""The one type of every device."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import equinox as eqx
from jaxtyping import Array, Inexact

from optics.device._modes import check_modes
from optics.effects import Effect


class Stage(NamedTuple):
    """A chain of effects of a device, and how it meets numbers.

    Attributes:
        name: of the field that holds the chain.
        effects: in the order that light meets them.
        is_modulator: numbers are written to it; else a detector, from which they are read.
        phase_only: the modulator takes one number a pixel, also where its light is complex.
        single_exposure: the detector takes all frames of a field in one exposure.
        metering: one exposure more of each field sets the full scale of the detector.
        simultaneous: fields that are exposed at the same time, on channels of their own.
    """

    name: str
    effects: tuple[Effect, ...]
    is_modulator: bool
    phase_only: bool = False
    single_exposure: bool = False
    metering: bool = False
    simultaneous: int = 1


class AbstractDevice(eqx.Module):
    """A device: what it can compute are the methods that its class has; the others refuse by name.

    Arrays have the origin at pixel n//2; `optics.convolve` and `optics.transform` move it there from index 0.
    Numbers of a device are its pytree leaves, so that `jax.grad` gives sensitivities and `jax.vmap` sweeps,
    in one compilation.

    Attributes:
        shape: pixels (rows, columns) of the planes that it takes, or of the modulator that holds a matrix.
    """

    shape: eqx.AbstractVar[tuple[int, int]]

    @property
    def product_shape(self) -> tuple[int | None, int, int]:
        """Rows, inner size and columns (m, k, n) of the largest product of matrices in one call of `matmul`;
        m is None where every row is an exposure of its own.

        Raises:
            ValueError: the device has no product of matrices.
        """
        self._refuse("product of matrices")

    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both.

        Arguments:
            x, w: shapes (..., rows, columns), leading axes broadcast as in x * w, real or complex, any units.
            key: of the device's noise, consumed; None gives the value without noise.

        Returns:
            shape of x * w, in the product of the units; real when both are.

        Raises:
            ValueError: the device has no convolution, or planes of another shape.
        """
        self._refuse("convolution")

    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """One optical Fourier transform, unitary scaling, origin at pixel n//2.

        Arguments:
            a: numbers, shape (..., rows, columns), real or complex, any unit.
            key: of the device's noise, consumed; None gives the value without noise.
            real: the result is known to be real, so detect that part only.

        Returns:
            field, same shape and unit, complex unless `real`.

        Raises:
            ValueError: the device has no transform, or planes of another shape.
        """
        self._refuse("transform")

    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """Product of matrices of at most `product_shape`; `optics.matmul` takes them of any size.

        Arguments:
            a, b: shapes (..., m, k) and (..., k, n), leading axes broadcast, real or complex, any units.
            key: of the device's noise, consumed; None gives the value without noise.

        Returns:
            a @ b, in the product of the units; real when both are.

        Raises:
            ValueError: the device has no product of matrices, or larger ones than fit.
        """
        self._refuse("product of matrices")

    def __hash__(self) -> int:
        # `jax.jit` hashes what it is given, and Equinox would say no more than that arrays have no hash.
        name = type(self).__name__
        raise TypeError(
            f"`{name}` has no hash: `jax.jit` cannot take its methods, and would make constants of its "
            "numbers; `jax.jit(device.transform)` is `equinox.filter_jit(device.transform)`, or "
            "`jax.jit(lambda device, a: device.transform(a))` with the device as an argument."
        )

    def supports(self, operation: Callable) -> bool:
        """Whether the device computes an operation, such as `AbstractDevice.transform`."""
        return vars(AbstractDevice)[operation.__name__] is not getattr(type(self), operation.__name__)

    @abc.abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The chains of effects, in the order that light meets them."""

    def with_stages(self, **effects: Sequence[Effect]) -> "AbstractDevice":
        """The device with other effects in the stages of these names."""
        changed = eqx.tree_at(
            lambda device: [getattr(device, name) for name in effects],
            self,
            [tuple(e) for e in effects.values()],
        )
        check_modes(changed)
        return changed

    def subtract_background(self) -> "AbstractDevice":
        """The device with the light that nothing modulates measured and subtracted; itself where it keeps no
        background.
        """
        return self

    def _refuse(self, operation: str) -> NoReturn:
        able = [
            name
            for name, method in (
                ("transform", AbstractDevice.transform),
                ("convolution", AbstractDevice.convolve),
                ("product of matrices", AbstractDevice.matmul),
            )
            if self.supports(method)
        ]
        only = f", only a {' and a '.join(able)}" if able else ""
        remedy = "use a `FourierProcessor`"
        if operation == "product of matrices":
            convolves = self.supports(AbstractDevice.convolve)
            remedy = (
                "`optics.CirculantMultiplier(device)` makes one of convolutions"
                if convolves
                else "use a `MatrixMatrixMultiplier`"
            )
        raise ValueError(f"`device` {type(self).__name__} has no {operation} of its own{only}; {remedy}.")
