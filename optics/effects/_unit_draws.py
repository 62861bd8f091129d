"""Fixed patterns of one physical unit, drawn once from a unit key. `vmap` over keys is a population."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from optics._check import as_shape, check_given_key, check_number, check_positive_number, is_concrete
from optics._keys import split_key
from optics._numerics import safe_sqrt
from optics._typing import KeyLike, ScalarLike, ShapeLike


def draw_prnu(
    key: KeyLike, shape: ShapeLike, sigma: ScalarLike, row: ScalarLike = 0.0, column: ScalarLike = 0.0
) -> Float[Array, "rows cols"]:
    """Draw the photo response of each pixel, the argument of `Gain` or of `camera(prnu=...)`.

        max(1 + pixel pattern + row pattern + column pattern, 0), each Normal

    Arguments:
        key: of the unit, consumed.
        shape: pixels (rows, columns).
        sigma, row, column: PRNU₁₂₈₈ of the three patterns, relative to the mean response (0.01 for 1 %),
            scalars.

    Returns:
        gains of mean 1, shape (rows, columns).

    Raises:
        ValueError: no key, a `shape` that is no pair of whole numbers, or a negative share.

    Source: EMVA Standard 1288, release 4.0 (2021), spatial nonuniformity.
    """
    return jnp.maximum(1 + _pattern(key, shape, sigma, row, column), 0)


def draw_dsnu(
    key: KeyLike,
    shape: ShapeLike,
    sigma: ScalarLike,
    row: ScalarLike = 0.0,
    column: ScalarLike = 0.0,
    hot: ScalarLike = 0.0,
    heat: ScalarLike = 1.0,
) -> Float[Array, "rows cols"]:
    """Draw the dark pattern of each pixel, for `Bias` or `camera(dsnu=...)`, in the unit of `sigma`.

        pixel pattern + row pattern + column pattern, each Normal, + heat · Exponential(1) in a share `hot` of
        the pixels

    Arguments:
        key: of the unit, consumed.
        shape: pixels (rows, columns).
        sigma, row, column: DSNU₁₂₈₈ of the three patterns, scalars, electrons for `camera`.
        hot: share of hot pixels, in [0, 1], scalar.
        heat: mean excess of a hot pixel, unit of `sigma`, scalar.

    Returns:
        offsets of mean hot · heat, shape (rows, columns).

    Raises:
        ValueError: no key, a `shape` that is no pair of whole numbers, a negative number or a share above 1.

    Source: EMVA 1288 (2021), spatial nonuniformity; the exponential tail: R. Widenhorn et al., Proc. SPIE
        4669, 193 (2002).
    """
    shape = _check_unit(key, shape)
    check_number("hot", hot, 0.0, 1.0)
    check_number("heat", heat, 0.0)
    pattern_key, place_key, heat_key = split_key(key, 3)
    pattern = _pattern(pattern_key, shape, sigma, row, column)
    is_hot = jax.random.uniform(place_key, shape) < hot
    return pattern + heat * jnp.where(is_hot, jax.random.exponential(heat_key, shape), 0)


def draw_stuck(key: KeyLike, shape: ShapeLike, share: ScalarLike) -> Float[Array, "rows cols"]:
    """Draw which pixels are stuck, the `mask` of `StuckPixels`: each with probability `share`.

    Arguments:
        key: of the unit, consumed.
        shape: pixels (rows, columns).
        share: in [0, 1], scalar.

    Returns:
        1 where stuck, 0 elsewhere, shape (rows, columns).

    Raises:
        ValueError: no key, a `shape` that is no pair of whole numbers, or `share` outside [0, 1].
    """
    shape = _check_unit(key, shape)
    check_number("share", share, 0.0, 1.0)
    return (jax.random.uniform(key, shape) < share).astype(jnp.result_type(float))


def draw_read_noise(
    key: KeyLike, shape: ShapeLike, median: ScalarLike, rms: ScalarLike
) -> Float[Array, "rows cols"]:
    """Draw the read noise of each pixel of a CMOS sensor: log-normal, by the two numbers of data sheets.

        σ = median · exp(s n),   n ~ Normal(0, 1),   s² = ln(rms / median),   so that √⟨σ²⟩ = rms

    Arguments:
        key: of the unit, consumed.
        shape: pixels (rows, columns).
        median: electrons, scalar.
        rms: electrons, at least `median`, scalar.

    Returns:
        standard deviations in electrons, shape (rows, columns), for `camera(read_noise=...)`.

    Raises:
        ValueError: no key, a `shape` that is no pair of whole numbers, `median` not positive, or `rms` below
            it.

    Source: Andor Zyla manual and arXiv:2510.14484 for the tail; that it is log-normal is our choice.
    """
    shape = _check_unit(key, shape)
    check_positive_number("median", median, "electrons")
    check_positive_number("rms", rms, "electrons")
    if is_concrete(rms) and is_concrete(median) and np.any(np.asarray(rms) < np.asarray(median)):
        raise ValueError(
            f"`rms` must be at least `median`, got {rms} and {median} electrons; a long tail raises the rms."
        )
    log_ratio = jnp.log(jnp.asarray(rms / median))
    return median * jnp.exp(safe_sqrt(log_ratio) * jax.random.normal(key, shape))


def draw_lut_error(
    key: KeyLike, rms: ScalarLike, shape: ShapeLike = ()
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Draw the residue of a phase table, `a2` and `a3` of `PhaseLUT`.

    Arguments:
        key: of the unit, consumed.
        rms: root-mean-square over units and drives, turns (0.02 for 2 % of 2π), scalar.
        shape: () for one residue for the panel, (rows, columns) for one a pixel.

    Returns:
        a₂ and a₃, each Normal(0, rms²), turns.

    Raises:
        ValueError: no key, a `shape` that is no tuple of whole numbers, or `rms` negative.
    """
    check_given_key("key", key)
    shape = as_shape("shape", shape)
    check_number("rms", rms, 0.0, unit="turns")
    a2, a3 = rms * jax.random.normal(key, (2, *shape))
    return a2, a3


def _check_unit(key: KeyLike, shape: ShapeLike) -> tuple[int, ...]:
    """The pixels of a unit; refuse what is no key and no pair of whole numbers."""
    check_given_key("key", key)
    return as_shape("shape", shape, 2)


def _pattern(
    key: KeyLike, shape: ShapeLike, sigma: ScalarLike, row: ScalarLike, column: ScalarLike
) -> Float[Array, "rows cols"]:
    """Sum of a pixel, a row and a column pattern of the given standard deviations."""
    rows, cols = _check_unit(key, shape)
    parts = (("sigma", sigma, (rows, cols)), ("row", row, (rows, 1)), ("column", column, (1, cols)))
    for name, value, _ in parts:
        check_number(name, value, 0.0)
    keys = split_key(key, len(parts))
    return sum(value * jax.random.normal(k, size) for k, (_, value, size) in zip(keys, parts, strict=True))
