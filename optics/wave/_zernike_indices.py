"""The two other ways of numbering Zernike polynomials, and the way back to Noll's."""

import math

from optics._check import check_whole, describe
from optics._typing import CountLike
from optics.wave._zernike import LARGEST_INDEX

LARGEST_ORDER = 100  # radial; Noll's index 5151 is its last
# The last Fringe index whose radial order is not above `LARGEST_ORDER`, whatever comes before it.
LARGEST_FRINGE = (LARGEST_ORDER // 2 + 1) ** 2


def osa(index: CountLike) -> tuple[int, int]:
    """Radial order n and signed angular order m of a polynomial in the order of OSA and ANSI.

        j = (n (n + 2) + m) / 2

    The polynomials are Noll's, of unit root mean square; only their order differs.

    Arguments:
        index: j, from 0 (piston): 1, 2 tilt along y and x, 4 defocus, 3, 5 astigmatism, 7, 8 coma, 12
            spherical.

    Returns:
        (n, m): cos mθ for m ≥ 0, sin |m|θ for m < 0.

    Raises:
        ValueError: `index` not a whole number from 0 to 5150, which is order 100.

    Example:
        >>> from optics import wave
        >>> wave.osa(12), wave.noll_index(*wave.osa(12))  # spherical
        ((4, 0), 11)

    Source: ANSI Z80.28-2017; L. N. Thibos et al., J. Refract. Surg. 18, S652 (2002).
    """
    check_whole("index", index, 0, LARGEST_INDEX - 1)
    n = (math.isqrt(8 * index + 1) - 1) // 2
    return n, 2 * int(index) - n * (n + 2)


def fringe(index: CountLike) -> tuple[int, int]:
    """Radial order n and signed angular order m of a polynomial in the order of Fringe.

        j = (1 + (n + |m|) / 2)² − 2 |m| + (1 − sgn m) / 2

    Fringe polynomials have the value 1 at the rim, not unit root mean square: a coefficient of them divided
    by √(n + 1) for m = 0, by √(2 (n + 1)) otherwise, is one of Noll's polynomial. J. C. Wyant's own table
    counts from 0. The set of 37 that lens programs print ends with n = 12, m = 0 instead of this formula's
    37th; that polynomial is 49 here.

    Arguments:
        index: j, from 1 (piston): 2, 3 tilt along x and y, 4 defocus, 5, 6 astigmatism, 7, 8 coma, 9
            spherical.

    Returns:
        (n, m): cos mθ for m ≥ 0, sin |m|θ for m < 0.

    Raises:
        ValueError: `index` not a whole number from 1 to 2601.

    Example:
        >>> from optics import wave
        >>> wave.fringe(9), wave.noll_index(*wave.fringe(9))  # spherical
        ((4, 0), 11)

    Source: J. C. Wyant and K. Creath, Applied Optics and Optical Engineering XI, chapter 1 (1992), table III.
    """
    check_whole("index", index, 1, LARGEST_FRINGE)
    root = math.isqrt(index - 1)  # (n + |m|) / 2
    place = int(index) - root**2 - 1  # from 0 within the polynomials of this sum
    m = root - place // 2
    return 2 * root - m, -m if place % 2 else m


def noll_index(n: CountLike, m: CountLike) -> int:
    """Index in Noll's order of the polynomial of radial order n and signed angular order m.

    Arguments:
        n: radial order, 0 to 100.
        m: signed angular order: cos mθ for m ≥ 0, sin |m|θ for m < 0.

    Returns:
        j, from 1; `noll(j)` is (n, m).

    Raises:
        ValueError: `n` or `m` not whole, |m| above n, or n − m odd.

    Example:
        >>> from optics import wave
        >>> wave.noll_index(2, 0), wave.noll(4)
        (4, (2, 0))

    Source: Noll (1976), table I.
    """
    check_whole("n", n, 0, LARGEST_ORDER)
    check_whole("m", m, -int(n), int(n))
    if (n - m) % 2:
        raise ValueError(f"`m` must be even where n is, and odd where n is: n is {n}, got {describe(m)}.")
    first = n * (n + 1) // 2 + abs(m)
    # Both of a pair ±m are at `first` and behind it; the even one is the cosine.
    return int(first + (m == 0 or (first % 2 == 0) != (m > 0)))
