"""The size from which light costs less than electronics, by the costs of the ledger."""

import math

from optics._check import check_flag, check_instance, check_positive_number, check_positive_or_infinite
from optics._typing import FlagLike, PartLike, ScalarLike
from optics.accounting._counts import Counts
from optics.accounting._ledger import price

# Of one transform of complex numbers: two numbers are written and two are read for each.
COMPLEX_TRANSFORM = Counts(exposures=1, dac=2, adc=2)
# Beyond this size no transform is counted.
LARGEST_SIZE = 2.0**1000


def fft_flops(pixels: ScalarLike, real: FlagLike = False) -> float:
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
    check_positive_number("pixels", pixels)
    check_flag("real", real)
    return (2.5 if real else 5.0) * pixels * math.log2(pixels)


def break_even_pixels(
    costs: PartLike,
    per_flop: ScalarLike,
    counts: PartLike = COMPLEX_TRANSFORM,
    pixels: ScalarLike = 1,
    transforms: ScalarLike = 1,
    real: FlagLike = False,
) -> float:
    """The size of a plane from which a computation costs less by light than its transforms do by FFT.

        price(exposures, dac N / pixels, adc N / pixels) = transforms · flops(N) · E_flop,
        flops = 5 N log₂ N, half of it for real numbers

    The joules are those of the ledger: converters, modulators, receivers, memory, laser and standing power.
    Conversions grow with the plane, exposures and what each of them costs do not. Electronics pays for
    arithmetic alone.

    Arguments:
        costs: as for `price`.
        per_flop: E_flop, of electronics, J.
        counts: of the computation on planes of `pixels` numbers; by default of one transform of complex
            numbers.
        pixels: of a plane that was counted.
        transforms: of the computation, each an FFT in electronics.
        real: the transforms are of real numbers, or to real numbers.

    Returns:
        N, at least 1, in numbers of a plane; infinite beyond the range of a float.

    Raises:
        ValueError: `costs` that `price` refuses, or numbers that are not positive.

    Example:
        >>> from optics import accounting
        >>> per_flop = accounting.electronics()["GPU, BF16"].value
        >>> print(f"{accounting.break_even_pixels('integrated', per_flop):.0f} complex numbers")
        53 complex numbers
    """
    check_positive_number("per_flop", per_flop, "J")
    check_positive_number("pixels", pixels)
    check_positive_number("transforms", transforms)
    check_flag("real", real)
    check_instance("counts", counts, Counts, "what `optics.accounting.count` returns")
    of_exposures = price(Counts(counts.exposures, 0, 0), costs).joules
    of_number = price(Counts(0, counts.dac, counts.adc), costs).joules / pixels
    of_operations = transforms * per_flop * (2.5 if real else 5.0)

    # Both sides for one number of the plane, in units of its operations: their difference falls with log₂ N.
    def excess(log_size: float) -> float:
        return (of_number + of_exposures / 2.0**log_size) / of_operations - log_size

    largest = math.log2(LARGEST_SIZE)
    if excess(largest) > 0:
        return math.inf
    from scipy.optimize import brentq  # takes a quarter of a second, which only a break-even has to spend

    return 2.0 ** brentq(excess, 0.0, largest)


def break_even_taps(costs: PartLike, per_mac: ScalarLike, pixels: ScalarLike = math.inf) -> float:
    """The kernel size from which one pass of real numbers through light costs less than multiplying them out.

        taps = price(1, pixels, pixels) / (pixels · E_mac)

    The kernel is written once and held. The joules are those of the ledger.

    Arguments:
        costs: as for `price`.
        per_mac: E_mac, of one multiply-accumulate, J.
        pixels: of a plane, which share what an exposure costs; so many that it vanishes unless given.

    Returns:
        taps of the kernel.

    Raises:
        ValueError: `costs` that `price` refuses, or numbers that are not positive.
    """
    check_positive_number("per_mac", per_mac, "J")
    check_positive_or_infinite("pixels", pixels)
    of_number = price(Counts(0, 1, 1), costs).joules + price(Counts(1, 0, 0), costs).joules / pixels
    return of_number / per_mac
