"""Times of two things as a ratio: called in turn in one process, medians."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def time_ratio(
    f: Callable, f_arguments: Any, g: Callable, g_arguments: Any, repeats: int
) -> dict[str, float]:
    """Milliseconds of f and of g, the ratio of their medians, and its spread.

    The spread is the interquartile range of the ratios of neighbouring calls, over their median: a slow
    moment slows both.
    """
    times = interleaved_times(f, f_arguments, g, g_arguments, repeats)
    ratios = [of_f / of_g for of_f, of_g in zip(*times, strict=True)]
    f_median, g_median = map(statistics.median, times)
    first, middle, third = statistics.quantiles(ratios, n=4)
    return {
        "milliseconds": f_median,
        "against_milliseconds": g_median,
        "ratio": f_median / g_median,
        "spread": (third - first) / middle,
    }


def interleaved_times(
    f: Callable, f_arguments: Any, g: Callable, g_arguments: Any, repeats: int
) -> tuple[list[float], list[float]]:
    """Times of two functions, called in turn, ms; the first calls, which compile, are left out."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(repeats + 1):
        for kept, call, arguments in ((times[0], f, f_arguments), (times[1], g, g_arguments)):
            start = time.perf_counter()
            jax.block_until_ready(call(*arguments))
            if i:
                kept.append(1e3 * (time.perf_counter() - start))
    return times
