"""Fewer modes that do what many do."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from optics._check import check_instance, check_number, check_whole, is_concrete
from optics._numerics import safe_sqrt
from optics._typing import CountLike, PartLike, ScalarLike
from optics.transfer._dense import Dense
from optics.transfer._modal import Modal

TOLERANCE = 1e-2


def reduce_modes(
    modal: PartLike, tolerance: ScalarLike | None = None, modes: CountLike | None = None
) -> tuple[Modal, Float[Array, ""]]:
    """Replace modes by fewer that give the same frames, where they differ smoothly.

    With T_m the map of mode m, of weight w_m and phase φ_m, and U any unitary matrix,

        Σ_m |√w_m exp(iφ_m) T_m x + √w_m r|² = Σ_k |(U f)_k + (U ρ)_k r|²,   f_m = √w_m exp(iφ_m) T_m x,
                                                                         ρ_m = √w_m

    for all light x and every reference r. One row of U takes out the mean field, and the others the strongest
    of the differences from it, their singular vectors; the rest are left out. Another turn shares the
    reference evenly, so that the result is again modes with weights, all the same. Frames of all
    measurements are kept, and so is what a coherent receiver sees, to rounding.

    The derivative by the numbers of the modes holds U fixed.

    Arguments:
        modal: compiled, of `Dense`.
        tolerance: largest relative error of all maps together by what is left out (Frobenius norm), whose
            square is about the most that frames err by; by default 1e-2.
        modes: so many instead of what `tolerance` asks for, from 1 to those of `modal`; needed under jit.

    Returns:
        the `Modal`, and the relative error of what it leaves out.

    Raises:
        ValueError: a `modal` that is none or not of `Dense`, `tolerance` not in (0, 1), `modes` out of range,
            both given, or neither under jit.

    Source: E. Wolf, J. Opt. Soc. Am. 72, 343 (1982), on coherent modes; C. Eckart and G. Young, Psychometrika
        1, 211 (1936).

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> modes = optics.illuminate(lens, optics.light.line(1.55e-6, 10e-9, modes=17))
        >>> fewer, residual = optics.reduce_modes(optics.compile_transfer(modes))
        >>> fewer.modes < 5, bool(residual < 1e-2)
        (True, True)
    """
    check_instance("modal", modal, Modal, "`optics.compile_transfer(optics.illuminate(lens, light))`")
    check_instance("modal.transfer", modal.transfer, Dense, "what `optics.compile_transfer` makes of 11×11")
    if tolerance is not None:
        check_number("tolerance", tolerance, 0.0, 1.0, open_low=True)
    if modes is not None:
        check_whole("modes", modes, 1, modal.modes)
    if tolerance is not None and modes is not None:
        raise ValueError(f"`tolerance` and `modes` must not both be given, got {tolerance} and {modes}.")
    if modes is None and not is_concrete(modal.transfer.matrix):
        raise ValueError("`modes` must be given under jit or grad, such as 3: traced maps cannot be counted.")
    rotation, strengths = jax.lax.stop_gradient(_rotation(modal))
    # Of the mean field and the differences from it, in falling order.
    power = np.asarray(strengths) ** 2 if modes is None else strengths**2
    if modes is None:
        left = np.sqrt(np.append(np.cumsum(power[::-1])[::-1], 0.0) / power.sum())
        modes = int(np.argmax(left[1:] <= (TOLERANCE if tolerance is None else float(tolerance)))) + 1
    residual = jnp.sqrt(jnp.sum(power[modes:]) / jnp.sum(power))
    factors = safe_sqrt(modal.weights) * jax.lax.complex(jnp.cos(modal.phases), jnp.sin(modal.phases))
    matrices = factors[:, None, None] * modal.transfer.matrix
    turn = jnp.matmul(jnp.asarray(_even_turn(modes), rotation.dtype), rotation[:modes], precision="highest")
    kept = np.sqrt(modes) * jnp.tensordot(turn, matrices, 1, precision="highest")
    stack = eqx.tree_at(lambda dense: dense.matrix, modal.transfer, kept)
    return Modal(stack, jnp.ones(modes)), residual


def _rotation(modal: Modal) -> tuple[Complex[Array, "modes modes"], Float[Array, " modes"]]:
    """U, whose first row takes out the mean field, and the strength of what each row takes out."""
    roots = safe_sqrt(modal.weights)
    matrices = modal.transfer.matrix.reshape(modal.modes, -1)
    fields = (roots * jnp.exp(1j * modal.phases))[:, None] * matrices
    # An orthonormal basis whose first vector is that of the reference.
    basis = jnp.linalg.qr(jnp.concatenate([roots[:, None], jnp.eye(modal.modes)], axis=1))[0].T
    basis = basis * jnp.sign(basis[0] @ roots)
    # "highest": a GPU would round the factors to ten bits, and the turn would not be unitary.
    dot = partial(jnp.matmul, precision="highest")
    inside = dot(basis.astype(fields.dtype), fields)
    vectors, strengths, _ = jnp.linalg.svd(inside[1:], full_matrices=False)
    rotation = jnp.concatenate(
        [basis[:1].astype(fields.dtype), dot(jnp.conj(vectors.T), basis[1:].astype(fields.dtype))]
    )
    return rotation, jnp.concatenate([jnp.linalg.norm(inside[0])[None], strengths])


def _even_turn(count: int) -> np.ndarray:
    """An orthogonal matrix that takes (1, 0, …) to (1, 1, …) / √count: a Householder reflection."""
    first, even = np.eye(count)[0], np.full(count, count**-0.5)
    normal = first - even
    length = normal @ normal
    return np.eye(count) if length == 0 else np.eye(count) - 2 * np.outer(normal, normal) / length
