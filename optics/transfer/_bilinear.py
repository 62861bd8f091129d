"""What is bilinear in the light of two modulators: a product of matrices, as a compiled map."""

from abc import abstractmethod
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_array, as_shape
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, ShapeLike


class AbstractBilinear(eqx.Module):
    """Optics between two modulators and a detector: the field is linear in the light of either.

    Attributes:
        shape: (m, k, n), of m × k elements on the first modulator, k × n on the second, m × n at the
            detector.
        peak: the amplitude of a detector element that two modulator elements of amplitude 1 give it.
    """

    shape: eqx.AbstractVar[tuple[int, int, int]]
    peak: eqx.AbstractVar[Array]

    @abstractmethod
    def __call__(
        self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]
    ) -> Inexact[Array, "*lead m n"]:
        """The field at the detector.

        Arguments:
            a, b: amplitudes of the elements of both modulators, shapes (..., m, k) and (..., k, n), leading
                axes broadcast.

        Returns:
            shape (..., m, n), in units of the amplitude of a modulator element.
        """

    def transmission(self, b: Inexact[Array, "*lead k n"]) -> Inexact[Array, "*lead k n"]:
        """The matrix that the light of one row of the first modulator meets, for the elements of the
        second.

        Arguments:
            b: amplitudes of the second modulator, shape (..., k, n).

        Returns:
            the field of detector element j that element l of the middle row, of amplitude 1, gives it, shape
            (..., k, n).
        """
        m, k, _ = self.shape
        unit = jnp.zeros((k, m, k)).at[:, m // 2].set(jnp.eye(k))
        return self(unit, b[..., None, :, :])[..., m // 2, :]

    def power(self, b: Float[Array, "*lead k n"]) -> Float[Array, "*lead k n"]:
        """|transmission|² of elements that pass the powers b, shape (..., k, n)."""
        field = self.transmission(safe_sqrt(b))
        return field.real**2 + field.imag**2 if jnp.iscomplexobj(field) else field**2


class ExactProduct(AbstractBilinear):
    """Optics without errors: the product of the two matrices.

    Arguments:
        shape: (m, k, n).

    Raises:
        ValueError: a `shape` that is not three whole numbers.
    """

    shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(self, shape: ShapeLike):
        m, k, n = as_shape("shape", shape, 3)
        self.shape = m, k, n

    @property
    def peak(self) -> Array:
        """1."""
        return jnp.ones(())

    def __call__(
        self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]
    ) -> Inexact[Array, "*lead m n"]:
        """a @ b: arguments and result as those of `AbstractBilinear`."""
        return jnp.matmul(a, b, precision="highest")

    def response(self) -> Float[Array, "m n k"]:
        """Ones."""
        m, k, n = self.shape
        return jnp.ones((m, n, k))

    def transmission(self, b: Inexact[Array, "*lead k n"]) -> Inexact[Array, "*lead k n"]:
        """b itself."""
        return b

    def power(self, b: Float[Array, "*lead k n"]) -> Float[Array, "*lead k n"]:
        """b itself."""
        return b


class Bilinear(AbstractBilinear):
    """Compiled cylindrical optics between two modulators.

        out[o, q] = Σ_j image[q, j] Σ_i spread[i, j] Σ_pl coupling[o, i, p, l] a[i, l] b[p, j]

    The first lens spreads row i of a over all columns j of b, with a phase for each pair; `coupling` has the
    image of element l on the elements p beside it, and of row i on the places o of the rows beside it; the
    second pair of lenses images the columns. Nothing is truncated.

    Arguments:
        coupling: complex, shape (m, m, k, k).
        spread: complex, shape (m, n).
        image: complex, shape (n, n).

    Raises:
        ValueError: arrays of other shapes.
    """

    coupling: Complex[Array, "m m k k"]
    spread: Complex[Array, "m n"]
    image: Complex[Array, "n n"]

    def __init__(self, coupling: ArrayLike, spread: ArrayLike, image: ArrayLike):
        coupling, spread, image = (
            as_array(name, value)
            for name, value in (("coupling", coupling), ("spread", spread), ("image", image))
        )
        if spread.ndim != 2 or coupling.ndim != 4:
            raise ValueError(
                f"`spread` must have the shape (m, n) and `coupling` (m, m, k, k), got {spread.shape} and "
                f"{coupling.shape}."
            )
        (m, n), k = spread.shape, coupling.shape[-1]
        for name, array, shape in (("coupling", coupling, (m, m, k, k)), ("image", image, (n, n))):
            if array.shape != shape:
                raise ValueError(f"`{name}` must have the shape {shape}, got {array.shape}.")
        self.coupling, self.spread, self.image = (
            array.astype(jnp.result_type(array, jnp.complex64)) for array in (coupling, spread, image)
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(m, k, n)."""
        m, n = self.spread.shape
        return m, self.coupling.shape[-1], n

    @property
    def peak(self) -> Array:
        """The brightest amplitude of the response."""
        return jnp.max(jnp.abs(self.response()))

    def __call__(
        self, a: Inexact[Array, "*alead m k"], b: Inexact[Array, "*blead k n"]
    ) -> Complex[Array, "*lead m n"]:
        """The field at the detector: arguments and result as those of `AbstractBilinear`."""
        # (..., o, i, p): every row of a on the elements of b, as place o sees it.
        mixed = jnp.einsum("oipl,...il->...oip", self.coupling, a, precision="highest")
        product = jnp.matmul(mixed, b[..., None, :, :], precision="highest")
        return jnp.matmul(jnp.sum(product * self.spread, axis=-2), self.image.T, precision="highest")

    def response(self) -> Complex[Array, "m n k"]:
        """The amplitude that elements (i, l) and (l, j) of amplitude 1 give detector element (i, j)."""
        coupling = jnp.diagonal(jnp.diagonal(self.coupling, axis1=0, axis2=1), axis1=0, axis2=1)
        return (self.spread * jnp.diagonal(self.image))[:, :, None] * coupling[:, None, :]

    def transmission(self, b: Inexact[Array, "*lead k n"]) -> Complex[Array, "*lead k n"]:
        """The matrix that one row meets: arguments and result as those of `AbstractBilinear`."""
        if self.shape[0] > 1:
            return super().transmission(b)
        dot = partial(jnp.matmul, precision="highest")
        return dot(dot(self.coupling[0, 0].T, b) * self.spread, self.image.T)


def rank_one_gains(response: Inexact[Array, "m n k"]) -> tuple[Float[Array, " k"], Inexact[Array, "m n"]]:
    """Gains before and after that make a response as even as gains can.

    Returns:
        real gains of the elements along k, the brightest 1, shape (k,); gains of the detector elements, shape
        (m, n), complex where the response is.
    """
    response = jax.lax.stop_gradient(response)
    along = jnp.sqrt(jnp.mean(jnp.abs(response) ** 2, axis=(0, 1)))
    weakest = jnp.min(along)
    return weakest / along, 1 / (jnp.mean(response / along, axis=-1) * weakest)
