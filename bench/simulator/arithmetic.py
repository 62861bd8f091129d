"""Arithmetic of a traced program, and what of it a device does in place of electronics."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Inexact

import optics
from optics import AbstractDevice
from optics._numerics import reverse_index
from optics.device import Stage


class Multiplications(NamedTuple):
    """Multiplications of real numbers.

    Attributes:
        electronic: in electronics.
        device: that electronics would need for what a device computes.
    """

    electronic: int
    device: int


def count_multiplications(call: Callable, arguments: tuple, device: AbstractDevice | None) -> Multiplications:
    """Multiplications of `call(*arguments, device)`, counted in its traced program; nothing is run.

        product of matrices        M N K
        convolution by its taps    numbers of the result · taps · channels of a group
        Fourier transform          2 N log₂ N, half of it from or to real numbers
        number by number           1

    Two complex numbers take four. Divisions, additions, and whole numbers are not counted. A call of the
    device counts what the exact operation takes: the transforms and the product of spectra of a convolution,
    M N K of a product of matrices. What surrounds it, such as the layout of tiles, is electronic. A loop
    counts as often as it runs, or once if that depends on values.

    Arguments:
        call: a function of its arguments and of a device, or of None, without a key: without noise.
        arguments: trees of arrays, or of `jax.ShapeDtypeStruct`.
        device: computes what the call gives to a device, and may be one of `jax.ShapeDtypeStruct`s; None: all
            is electronic.

    Source: M. Frigo and S. G. Johnson, Proc. IEEE 93, 216 (2005): 5 N log₂ N operations, of which a butterfly
    of radix 2 multiplies 2 N log₂ N times.
    """
    marked = None if device is None else _MarkedDevice(device)
    program = jax.make_jaxpr(lambda *arguments: call(*arguments, marked))(*arguments).jaxpr

    def of_electronics(equation):
        return 0.0 if _is_on_device(equation) else _multiplications(equation)

    def of_device(equation):
        if not _is_on_device(equation):
            return None
        return sum(sum_over_steps(part, _multiplications) for part in core.jaxprs_in_params(equation.params))

    return Multiplications(*(round(sum_over_steps(program, count)) for count in (of_electronics, of_device)))


def sum_over_steps(program: core.Jaxpr, count: Callable) -> float:
    """The sum of a count over the equations of a traced program, those of loops as often as they run.

    Of branches the dearest counts, and a loop whose end depends on values counts once.

    Arguments:
        program: traced.
        count: of an equation; None, if the equations inside of it are to be counted.
    """
    total = 0.0
    for equation in program.eqns:
        number = count(equation) if equation.outvars else None
        if number is None:
            inner = [sum_over_steps(part, count) for part in core.jaxprs_in_params(equation.params)]
            is_choice = equation.primitive.name == "cond"
            repetitions = equation.params["length"] if equation.primitive.name == "scan" else 1
            number = repetitions * (max(inner) if is_choice else sum(inner))
        total += number
    return total


def product_length(equation: core.JaxprEqn) -> int:
    """Numbers that each result of a product of matrices sums over."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    return math.prod(equation.invars[0].aval.shape[i] for i in contracted)


def transform_steps(equation: core.JaxprEqn) -> float:
    """N log₂ N of a Fourier transform, summed over those of a stack; half of it from or to real numbers."""
    planes = [equation.invars[0].aval, equation.outvars[0].aval]
    is_real = any(not jnp.issubdtype(plane.dtype, jnp.complexfloating) for plane in planes)
    numbers = max(plane.size for plane in planes)
    return (0.5 if is_real else 1.0) * numbers * math.log2(math.prod(equation.params["fft_lengths"]))


def _multiplications(equation: core.JaxprEqn) -> float | None:
    """Of one equation; None if it has no multiplications of its own."""
    name, result = equation.primitive.name, equation.outvars[0].aval
    if name == "fft":
        return 2 * transform_steps(equation)
    if name == "dot_general":
        each = product_length(equation)
    elif name == "conv_general_dilated":
        kernels = equation.invars[1].aval
        each = kernels.size // kernels.shape[equation.params["dimension_numbers"].rhs_spec[0]]
    elif name in ("mul", "square"):
        each = 1
    elif name == "integer_pow":
        # By repeated squares.
        power = abs(equation.params["y"])
        each = max(0, power.bit_length() + power.bit_count() - 2)
    else:
        return None
    if not jnp.issubdtype(result.dtype, jnp.inexact):
        return 0.0
    return float(result.size * each * (4 if jnp.issubdtype(result.dtype, jnp.complexfloating) else 1))


class _MarkedDevice(AbstractDevice):
    """A device whose operations are exact, and are steps of their own in a traced program.

    Planes have their origin at index 0, not at pixel n//2: it is traced, and never run.
    """

    shape: tuple[int, int] = eqx.field(static=True)
    largest_product: tuple[int | None, int, int] | None = eqx.field(static=True)
    operations: frozenset[str] = eqx.field(static=True)

    def __init__(self, device: AbstractDevice):
        operations = AbstractDevice.convolve, AbstractDevice.transform, AbstractDevice.matmul
        self.operations = frozenset(f.__name__ for f in operations if device.supports(f))
        self.shape = device.shape
        self.largest_product = device.product_shape if "matmul" in self.operations else None

    @property
    def product_shape(self) -> tuple[int | None, int, int]:
        return super().product_shape if self.largest_product is None else self.largest_product

    def supports(self, operation: Callable) -> bool:
        return operation.__name__ in self.operations

    def stages(self) -> tuple[Stage, ...]:
        return ()

    def convolve(
        self, x: Inexact[Array, "..."], w: Inexact[Array, "..."], key: Array | None = None
    ) -> Inexact[Array, "..."]:
        return device_convolution(x, w)

    def transform(
        self, a: Inexact[Array, "..."], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "..."]:
        return device_transform(a, real)

    def matmul(
        self, a: Inexact[Array, "..."], b: Inexact[Array, "..."], key: Array | None = None
    ) -> Inexact[Array, "..."]:
        return device_product(a, b)


# The names by which a traced program knows them.
@jax.jit
def device_convolution(x: Array, w: Array) -> Array:
    """`optics.convolve`, exact."""
    return optics.convolve(x, w)


@partial(jax.jit, static_argnums=1)
def device_transform(a: Array, real: bool) -> Array:
    """`optics.transform`, exact but for a factor, by half a transform from or to real numbers."""
    half = a.shape[-1] // 2 + 1
    if real:
        return jnp.fft.irfft2(jnp.conj(a)[..., :half], s=a.shape[-2:])
    if jnp.iscomplexobj(a):
        return jnp.fft.fft2(a)
    spectra = jnp.fft.rfft2(a)
    rest = reverse_index(jnp.flip(spectra[..., 1 : a.shape[-1] - half + 1], -1), (-2,))
    return jnp.concatenate([spectra, jnp.conj(rest)], axis=-1)


@jax.jit
def device_product(a: Array, b: Array) -> Array:
    """`optics.matmul`, exact."""
    return optics.matmul(a, b)


_ON_DEVICE = {"device_convolution", "device_transform", "device_product"}


def _is_on_device(equation: core.JaxprEqn) -> bool:
    return equation.params.get("name") in _ON_DEVICE
