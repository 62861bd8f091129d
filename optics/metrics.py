"""How far a result is from what it should be: relative error, best common factor and effective bits."""

from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from optics._check import as_array, as_numpy, check_positive_number, describe, is_concrete
from optics._typing import ArrayLike, ScalarLike, ShapeLike


def relative_error(result: ArrayLike, exact: ArrayLike, axes: ShapeLike | None = None) -> ArrayLike:
    """Relative root-mean-square error of a result.

        ‖result − exact‖₂ / ‖exact‖₂

    Values that are not traced are compared in double precision.

    Arguments:
        result: real or complex, any shape and unit.
        exact: the reference, of the same shape and unit.
        axes: the axes that the norms sum over; all of them unless given.

    Returns:
        the error, dimensionless, of the axes that are left.

    Raises:
        ValueError: no numbers, shapes that differ, or `axes` that the arrays do not have.

    Example:
        >>> import optics
        >>> print(f"{optics.metrics.relative_error([1.0, 2.2], [1.0, 2.0]):.3f}")
        0.089
    """
    xp, result, exact = _as_arrays(result, exact)
    axes = None if axes is None else _as_axes(axes, result.ndim)
    return _norm(xp, result - exact, axes) / _norm(xp, exact, axes)


def best_factor(result: ArrayLike, exact: ArrayLike) -> ScalarLike:
    """The common factor that brings a result closest to the reference.

        c = ⟨result, exact⟩ / ⟨result, result⟩   minimises   ‖c · result − exact‖₂

    Arguments:
        result: real or complex, any shape and unit.
        exact: the reference, of the same shape.

    Returns:
        scalar, complex if one of the arguments is, in the unit of `exact` over that of `result`.

    Raises:
        ValueError: no numbers, or shapes that differ.

    Example:
        >>> import optics
        >>> print(optics.metrics.best_factor([1.0, 2.0], [2.0, 4.0]))
        2.0
    """
    xp, result, exact = _as_arrays(result, exact)
    return xp.vdot(result, exact) / xp.vdot(result, result)


def effective_bits(error: ScalarLike) -> float:
    """Effective number of bits of a signal with a relative error.

        bits = (SNR − 1.76 dB) / 6.02 dB,   SNR = −20 dB log₁₀ error

    Arguments:
        error: relative root-mean-square error, above 0, scalar.

    Returns:
        bits.

    Raises:
        ValueError: `error` not one number above 0.

    Source: IEEE Standard 1241 (2010).

    Example:
        >>> import optics
        >>> print(f"{optics.metrics.effective_bits(0.01):.1f}")
        6.4
    """
    check_positive_number("error", error)
    return float((-20 * np.log10(error) - 1.76) / 6.02)


def _as_arrays(result: Any, exact: Any) -> tuple[ModuleType, Any, Any]:
    """The module that computes with both, and both as its arrays: NumPy's in double precision, unless one is
    traced.
    """
    if is_concrete(result) and is_concrete(exact):
        xp, result, exact = np, as_numpy("result", result), as_numpy("exact", exact)
        result, exact = (a.astype(np.result_type(a, np.float64)) for a in (result, exact))
    else:
        xp, result, exact = jnp, as_array("result", result), as_array("exact", exact)
    if result.shape != exact.shape:
        raise ValueError(f"`result` must have the shape of `exact`, {exact.shape}, got {result.shape}.")
    return xp, result, exact


def _as_axes(axes: ShapeLike, ndim: int) -> tuple[int, ...]:
    tuple_of_axes = axes if isinstance(axes, tuple | list) else (axes,)
    for axis in tuple_of_axes:
        if not isinstance(axis, int | np.integer) or isinstance(axis, bool) or not -ndim <= axis < ndim:
            raise ValueError(f"`axes` must be among the {ndim} axes of `result`, got {describe(axes)}.")
    return tuple(map(int, tuple_of_axes))


def _norm(xp: ModuleType, a: Any, axes: tuple[int, ...] | None) -> Any:
    return xp.sqrt(xp.sum(a.real**2 + a.imag**2, axis=axes))
