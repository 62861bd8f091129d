"""What a fit gives."""

from typing import Any, NamedTuple

import numpy as np

from optics.device import FourierProcessor

# Numbers that are printed; the others are counted.
SHOWN = 40


class Fit(NamedTuple):
    """A twin fitted to a recording.

    Attributes:
        device: with the fitted numbers in place; its optics is of the kind that it was.
        values: fitted leaves, as `where` returned them.
        errors: their standard errors, the same structure and units: infinite for a number that the recording does not
            determine, 0 for one that was held; of a complex number real and imaginary part have one each.
        chi2: Σ (frames − mean)² / variance over the numbers that count.
        freedom: its degrees of freedom; `chi2 / freedom` is near 1 where the device can be what the bench is.
        correlation: of the free numbers, shape (free, free), in the order of `names`; 0 where a number is not determined.
        names: of the free numbers, such as "optics.aberrations[4]".
        numbers: the free numbers as a vector, in double precision.
        deviations: their standard errors.
    """

    device: FourierProcessor
    values: Any
    errors: Any
    chi2: float
    freedom: int
    correlation: np.ndarray
    names: tuple[str, ...]
    numbers: np.ndarray
    deviations: np.ndarray

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Names of the numbers that the recording does not determine, alone or against one another."""
        return tuple(name for name, error in zip(self.names, self.deviations, strict=True) if not np.isfinite(error))

    def __str__(self) -> str:
        lines = [f"χ² / degrees of freedom = {self.chi2 / self.freedom:.3f} ({self.freedom})"]
        lines += [f"{n} = {v:.6g} ± {e:.2g}" for n, v, e in list(zip(self.names, self.numbers, self.deviations, strict=True))[:SHOWN]]
        lines += [f"and {len(self.names) - SHOWN} more"] if len(self.names) > SHOWN else []
        lines += [f"not determined: {', '.join(self.undetermined[:SHOWN])}"] if self.undetermined else []
        return "\n".join(lines)
