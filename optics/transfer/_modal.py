"""The transfer of light whose modes do not interfere with one another."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import as_vector, check_instance, check_range, is_concrete
from optics._typing import ArrayLike, TransferLike
from optics.transfer._dense import Dense
from optics.transfer._transfer import AbstractTransfer


def without_phases(transfer: AbstractTransfer) -> AbstractTransfer:
    """The transfer of a second pass, in which no mode falls behind its reference again."""
    if not isinstance(transfer, Modal):
        return transfer
    return eqx.tree_at(lambda modal: modal.phases, transfer, jnp.zeros_like(transfer.phases))


class Modal(AbstractTransfer):
    """One transfer for each mode of light: wavelengths, or points of a source, that do not interfere.

        field of mode m:   exp(i phase_m) · transfer_m(light),   of the share weight_m of the power
        receivers:         frames = Σ_m weight_m · frames of mode m

    Each mode has its own part of the reference, which it interferes with. Frames are quadratic in light and
    reference together, or linear in either, so that those of all modes are the sum of what each alone would
    give with all of the power. A device forms them so. A call gives the mean field Σ_m weight_m · field_m,
    which is all that a coherent receiver sees.

    `optics.illuminate` makes one of a lens and a `light.Light`, and `compile_transfer` compiles it. One mode
    needs none: its transfer is a device's own.

    Arguments:
        transfer: any transfer whose numbers have a first axis of modes, such as `jax.vmap` of what makes one
            gives it.
        weights: shares of the power, shape (modes,), not negative; they are divided by their sum.
        phases: of each mode against its reference, rad, shape (modes,); by default 0.

    Raises:
        ValueError: a `transfer` that is none or whose numbers do not have one axis of as many modes as
            `weights`, a weight below 0, none above 0, or `phases` of another shape.

    Source: L. Mandel and E. Wolf, Optical Coherence and Quantum Optics (1995), section 4.7, coherent modes.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> mirror = jax.vmap(lambda turn: optics.Dense(turn * jnp.eye(4), (2, 2)))(jnp.array([1.0, -1.0]))
        >>> optics.Modal(mirror, weights=[3.0, 1.0])(jnp.ones((2, 2)), real=True)[0].tolist()
        [0.5, 0.5]
    """

    transfer: AbstractTransfer
    weights: Float[Array, " modes"]
    phases: Float[Array, " modes"]

    def __init__(self, transfer: TransferLike, weights: ArrayLike, phases: ArrayLike | None = None):
        check_instance("transfer", transfer, AbstractTransfer, "a `jax.vmap` of `optics.compile_transfer`")
        check_range("weights", weights, 0.0, float("inf"))
        weights = as_vector("weights", weights, "")
        if is_concrete(weights) and not np.any(np.asarray(weights) > 0):
            raise ValueError(f"`weights` must have one above 0, got {np.asarray(weights).tolist()}.")
        self.transfer = transfer
        self.weights = weights / jnp.sum(weights)
        self.phases = (
            jnp.zeros_like(weights) if phases is None else as_vector("phases", phases, "rad", weights.size)
        )

    def __check_init__(self):
        count = self.weights.size
        counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(eqx.filter(self.transfer, eqx.is_array))}
        if counts != {(count,)}:
            raise ValueError(
                f"`transfer` must have a first axis of {count} modes in all of its numbers, as many as "
                f"`weights`, got axes {sorted(counts)}; `jax.vmap` of what makes one transfer gives it."
            )

    @property
    def modes(self) -> int:
        """The number of modes."""
        return self.weights.size

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of the detector."""
        return self.transfer.shape

    @property
    def subpixels(self) -> int:
        """Pixels of light per detector pixel and axis."""
        return self.transfer.subpixels

    @property
    def peak(self) -> Array:
        """How bright one modulator pixel can make one detector pixel, in the brightest mode."""
        return jnp.max(jax.vmap(lambda transfer: transfer.peak)(self.transfer))

    def __call__(
        self, light: Inexact[Array, "*lead rows cols"], real: bool = False
    ) -> Inexact[Array, "*lead rows_out cols_out"]:
        """The mean field at the detector; arguments as those of `AbstractTransfer`.

        Inside a `jax.vmap` over the modes it is the field of one of them.
        """
        if self.weights.ndim == 0:
            field = self.transfer(light) * jax.lax.complex(jnp.cos(self.phases), jnp.sin(self.phases))
            return field.real if real else field
        if isinstance(self.transfer, Dense):
            return self._mean_matrix()(light, real)
        fields = jax.vmap(lambda mode: mode(light, real))(self)
        return jnp.tensordot(self.weights.astype(fields.real.dtype), fields, 1, precision="highest")

    def _mean_matrix(self) -> Dense:
        """The map to the mean field, in place of one for each mode."""
        factors = self.weights * jax.lax.complex(jnp.cos(self.phases), jnp.sin(self.phases))
        matrix = jnp.tensordot(
            factors.astype(self.transfer.matrix.dtype), self.transfer.matrix, 1, precision="highest"
        )
        return Dense(matrix, self.shape, self.subpixels)
