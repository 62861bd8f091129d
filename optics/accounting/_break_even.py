"""The size from which light costs less than electronics, by the cost of its converters."""

import math
from typing import Any

from optics._check import check_positive, check_range


def fft_flops(pixels: Any, real: bool = False) -> float:
    """Floating-point operations of a Fourier transform in electronics.

        5 N log₂ N, half of it for real numbers

    Arguments:
        pixels: N.
        real: of real numbers, or to real numbers.

    Raises:
        ValueError: `pixels` that are not positive.

    Source: M. Frigo and S. G. Johnson, Proc. IEEE 93, 216 (2005), the convention of benchFFT.
    """
    check_positive("pixels", pixels)
    return (2.5 if real else 5.0) * pixels * math.log2(pixels)


def break_even_pixels(energy: Any, per_flop: Any, frames: Any = 1.0) -> float:
    """From how many numbers on an optical transform costs less than an FFT: its work grows faster than its converters.

        frames · E = 5 log₂(N) E_flop   ⇒   N = 2^(frames · E / (5 E_flop))

    Arguments:
        energy: E, to write and read one complex number, J.
        per_flop: E_flop, of electronics, J.
        frames: for one transform; signs, steps of a reference and bit planes multiply it.

    Returns:
        N, infinite beyond what a float holds.

    Raises:
        ValueError: a `per_flop` or `frames` that is not positive, or a negative `energy`.
    """
    check_range("energy", energy, 0.0, math.inf, "J")
    check_positive("per_flop", per_flop, "J")
    check_positive("frames", frames)
    power = frames * energy / (5 * per_flop)
    return 2.0**power if power < 1000 else math.inf


def break_even_taps(energy: Any, per_mac: Any) -> float:
    """From how many taps on one pass of real numbers through a fixed kernel costs less than multiplying them out: E / E_mac.

    Arguments:
        energy: E, to write and read one real number, J.
        per_mac: E_mac, of one multiply-accumulate, J.

    Raises:
        ValueError: a `per_mac` that is not positive, or a negative `energy`.
    """
    check_range("energy", energy, 0.0, math.inf, "J")
    check_positive("per_mac", per_mac, "J")
    return energy / per_mac
