"""Times of two things as a ratio: called in turn in one process, medians."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


def compared(f: Callable, f_arguments: Any, g: Callable, g_arguments: Any, repeats: int) -> dict[str, float]:
    """Milliseconds of f and of g, the ratio of their medians, and how the ratio spreads.

    `spread` is the interquartile range of the ratios of neighbouring calls, over their median: what is slow for a while
    is slow for both.
    """
    times = interleaved(f, f_arguments, g, g_arguments, repeats)
    ratios = [slow / fast for slow, fast in zip(*times, strict=True)]
    slow, fast = (statistics.median(kept) for kept in times)
    first, middle, third = statistics.quantiles(ratios, n=4)
    return {
        "milliseconds": slow,
        "against_milliseconds": fast,
        "ratio": slow / fast,
        "spread": (third - first) / middle,
    }


def interleaved(
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
