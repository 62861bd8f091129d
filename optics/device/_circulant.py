"""Products of matrices by convolutions: what every device that convolves can do."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import check_instance
from optics._numerics import zero_where_dark
from optics._program import as_one_program
from optics._typing import DeviceLike
from optics.device._device import AbstractDevice, Stage
from optics.device._products import check_product


class CirculantMultiplier(AbstractDevice):
    """Products of matrices on a device that convolves: a circulant embedding.

        x[i, l] = a[i, l],   w[m j, −l mod C] = b[l, j],   (x ⊛ w)[i + m j, 0] = Σ_l a[i, l] b[l, j]

    Convolving with w is a product with a block-circulant matrix, in which b is embedded. One convolution of R
    × C pixels multiplies m × C and C × n numbers, m n ≤ R: R C multiplications, of which R results are read.
    It is the baseline that dedicated multipliers are compared with.

    Arguments:
        engine: convolves, such as a `FourierProcessor`, `Correlator` or `JointTransform`.

    Raises:
        ValueError: an `engine` that does not convolve.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.CirculantMultiplier(optics.presets.load("ideal", pixels=4))
        >>> optics.matmul(jnp.ones((3, 5)), jnp.ones((5, 2)), device).round().tolist()[0]
        [5.0, 5.0]

    Source: A. E. Yagle, IEEE Trans. Signal Process. 43, 71 (1995): a product of matrices as a convolution.
    """

    engine: AbstractDevice

    def __init__(self, engine: DeviceLike):
        check_instance("engine", engine, AbstractDevice, "`optics.presets.load(name)`")
        if not engine.supports(AbstractDevice.convolve):
            raise ValueError(
                f"`engine` must convolve, but {type(engine).__name__} does not; use a `FourierProcessor`."
            )
        self.engine = engine

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the engine."""
        return self.engine.shape

    @property
    def product_shape(self) -> tuple[int, int, int]:
        """Rows, inner size and columns of the largest product in one convolution."""
        rows, cols = self.shape
        m = max(range(1, int(rows**0.5) + 1), key=lambda m: (m * (rows // m), m))
        return m, cols, rows // m

    @as_one_program
    def matmul(
        self,
        a: Inexact[Array, "*alead m k"],
        b: Inexact[Array, "*blead k n"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead m n"]:
        """One convolution for each pair of matrices.

        Arguments, result and errors: those of `AbstractDevice.matmul`.
        """
        check_product(a, b, self)
        (rows, cols), m, n = self.shape, a.shape[-2], b.shape[-1]
        inner = jnp.arange(a.shape[-1])
        x = jnp.zeros((*a.shape[:-2], rows, cols), a.dtype).at[..., :m, : inner.size].set(a)
        # The origin of a device is its middle pixel: that of w is moved there, and the result lies as x does.
        down = (m * jnp.arange(n) + rows // 2) % rows
        across = (cols // 2 - inner) % cols
        w = jnp.zeros((*b.shape[:-2], rows, cols), b.dtype)
        w = w.at[..., down[None, :], across[:, None]].set(b)
        y = zero_where_dark(self.engine.convolve(x, w, key), x, w)[..., : m * n, 0]
        return jnp.swapaxes(y.reshape(*y.shape[:-1], n, m), -1, -2)

    def stages(self) -> tuple[Stage, ...]:
        """Those of the engine."""
        return self.engine.stages()

    def with_stages(self, **effects) -> "CirculantMultiplier":
        """The device with other effects in the stages of its engine."""
        return CirculantMultiplier(self.engine.with_stages(**effects))

    def subtract_background(self) -> "CirculantMultiplier":
        """The device with the background of its engine measured and subtracted."""
        return CirculantMultiplier(self.engine.subtract_background())
