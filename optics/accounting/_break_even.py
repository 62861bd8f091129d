"""The size from which light costs less than electronics, by the cost of its converters."""

import math

from optics._check import check_positive, check_range
from optics._typing import ScalarLike


def fft_flops(pixels: ScalarLike, real: bool = False) -> float:
    """Floating-point operations of a Fourier transform in electronics.

        5 N log₂ N, half of it for real numbers

    Arguments:
        pixels: N, at least 1.
        real: of real numbers, or to real numbers.

    Returns:
        operations.

    Raises:
        ValueError: `pixels` that are not positive.

    Source: M. Frigo and S. G. Johnson, Proc. IEEE 93, 216 (2005), the convention of benchFFT.
    """
    check_positive("pixels", pixels)
    return (2.5 if real else 5.0) * pixels * math.log2(pixels)


def break_even_pixels(energy: ScalarLike, per_flop: ScalarLike, exposures: ScalarLike = 1.0) -> float:
    """The size from which an optical transform costs less than an FFT: its work grows faster than its
    converters.

        exposures · E = 5 log₂(N) E_flop   ⇒   N = 2^(exposures · E / (5 E_flop))

    Arguments:
        energy: E, to write and read one complex number, J.
        per_flop: E_flop, of electronics, J.
        exposures: for one transform; signs, steps of a reference and bit planes multiply it.

    Returns:
        N, in numbers; infinite beyond the range of a float.

    Raises:
        ValueError: a `per_flop` or `exposures` that is not positive, or a negative `energy`.
    """
    check_range("energy", energy, 0.0, math.inf, "J")
    check_positive("per_flop", per_flop, "J")
    check_positive("exposures", exposures)
    power = exposures * energy / (5 * per_flop)
    return 2.0**power if power < 1000 else math.inf


def break_even_taps(energy: ScalarLike, per_mac: ScalarLike) -> float:
    """The kernel size from which one pass of real numbers through light costs less than multiplying them out.

        taps = E / E_mac

    Arguments:
        energy: E, to write and read one real number, J.
        per_mac: E_mac, of one multiply-accumulate, J.

    Returns:
        taps of the kernel.

    Raises:
        ValueError: a `per_mac` that is not positive, or a negative `energy`.
    """
    check_range("energy", energy, 0.0, math.inf, "J")
    check_positive("per_mac", per_mac, "J")
    return energy / per_mac
