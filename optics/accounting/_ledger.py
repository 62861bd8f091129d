"""The ledger: what is counted, times what is assumed."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optics.accounting._assumptions import Figure, hardware, hardware_names
from optics.accounting._counts import Counts, count
from optics.convolution import convolve

# Planes over which the bits are measured.
PLANES = 64


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What a computation costs on a device.

    Attributes:
        frames: exposures, one after the other on one device.
        seconds: that they take.
        joules: that they take, the sum of `terms`.
        dac, adc: conversions.
        bits: effective bits of the result, (SNR in dB − 1.76) / 6.02; None where no result was measured.
        low, high: joules with every assumption at its cheapest and dearest.
        terms: joules by cause, (value, low, high).
    """

    frames: int
    seconds: float
    joules: float
    dac: int
    adc: int
    bits: float | None
    low: float
    high: float
    terms: dict[str, tuple[float, float, float]]

    @property
    def conversion(self) -> float:
        """The share of the energy that goes into converters, modulators and receivers."""
        return (
            sum(self.terms[name][0] for name in ("DACs", "modulators", "ADCs", "receivers")) / self.joules
            if self.joules
            else 0.0
        )

    def __str__(self) -> str:
        lines = [
            f"{self.frames:,} exposures in {self.seconds:.3g} s, {self.dac:,} numbers written and {self.adc:,} read"
        ]
        lines += [f"{self.bits:.1f} effective bits"] if self.bits is not None else []
        lines += [
            f"{self.joules:.3g} J ({self.low:.2g} to {self.high:.2g}), of which conversion {100 * self.conversion:.0f} %"
        ]
        return "\n".join(
            lines
            + [
                f"    {name} {value:.2g} J ({low:.2g} to {high:.2g})"
                for name, (value, low, high) in self.terms.items()
            ]
        )


def ledger(device: Any, x_shape: Sequence[int], w_shape: Sequence[int], costs: Any = None) -> Ledger:
    """What `optics.convolve(x, w, device, key)` of real arrays costs.

    Arguments:
        device: `FourierProcessor` and its like.
        x_shape, w_shape: of x and w, the last two axes the device's pixels; leading axes broadcast as in x * w.
        costs: what an exposure and a conversion cost, `optics.accounting.hardware(name, ...)` or the name alone. Devices with a
            coherent receiver or a balanced pair at every pixel are taken to be "integrated" unless it is given.

    Returns:
        `Ledger`; its bits are measured on 64 planes of normally distributed numbers, in one shot, with the photons that the
        device has, whatever exposure the costs suppose.

    Raises:
        ValueError: as `convolve` by the shapes, what is no device, a device with a camera without costs, or a cost that is
            missing.
    """
    if costs is None and not getattr(getattr(device, "measurement", None), "simultaneous", True):
        raise ValueError(
            f"`costs` must be given for a device with a camera: `optics.accounting.hardware(name)`, name one of {', '.join(hardware_names())}."
        )
    arrays = [jnp.zeros(tuple(shape)) for shape in (x_shape, w_shape)]
    found = price(
        count(lambda device, key: convolve(*arrays, device, key), device),
        "integrated" if costs is None else costs,
    )
    return dataclasses.replace(found, bits=_bits(device))


def price(counts: Counts, costs: Any) -> Ledger:
    """Seconds and joules of what was counted.

        T = frames · exposure_time / engines
        E = dac · (dac_energy + modulator_energy) + adc · (adc_energy + receiver_energy) + (dac + adc) · memory_energy
            + exposure_time · ((frames · laser_power + adc · oscillator_power) / wall_plug + frames · static_power)

    Arguments:
        counts: as `count` finds them.
        costs: `optics.accounting.hardware(name, ...)`, or the name alone.

    Returns:
        `Ledger` without bits.

    Raises:
        ValueError: an unknown name, or a cost that is missing.
    """
    costs = hardware(costs) if isinstance(costs, str) else costs
    missing = [name for name in hardware() if not isinstance(costs.get(name), Figure)]
    if missing:
        raise ValueError(
            f"`costs` must have every figure of `optics.accounting.hardware()`; {', '.join(missing)} missing."
        )

    def terms(pick: Callable[[Figure], float], other: Callable[[Figure], float]) -> dict[str, float]:
        at = {name: pick(figure) for name, figure in costs.items()}
        exposing = counts.frames * at["exposure_time"]
        return {
            "DACs": counts.dac * at["dac_energy"],
            "modulators": counts.dac * at["modulator_energy"],
            "ADCs": counts.adc * at["adc_energy"],
            "receivers": counts.adc * at["receiver_energy"],
            "memory": (counts.dac + counts.adc) * at["memory_energy"],
            # An efficient laser is cheap.
            "laser": (
                exposing * at["laser_power"] + counts.adc * at["exposure_time"] * at["oscillator_power"]
            )
            / other(costs["wall_plug"]),
            "standing power": exposing * at["static_power"],
        }

    value, low, high = (
        terms(lambda f: f.value, lambda f: f.value),
        terms(lambda f: f.low, lambda f: f.high),
        terms(lambda f: f.high, lambda f: f.low),
    )
    return Ledger(
        counts.frames,
        counts.frames * costs["exposure_time"].value / costs["engines"].value,
        sum(value.values()),
        counts.dac,
        counts.adc,
        None,
        sum(low.values()),
        sum(high.values()),
        {name: (value[name], low[name], high[name]) for name in value},
    )


def _bits(device: Any) -> float:
    """Effective bits of a convolution of normally distributed numbers against the exact one in double precision."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, w = (jax.random.normal(key, (PLANES, *device.shape)) for key in keys[:2])
    found = np.asarray(jax.jit(convolve)(x, w, device, keys[2]), np.float64)
    exact = np.fft.ifft2(np.fft.fft2(np.asarray(x, np.float64)) * np.fft.fft2(np.asarray(w, np.float64))).real
    return effective_bits(np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2)))


def effective_bits(relative: Any) -> float:
    """Effective number of bits of a signal with a relative RMS error: (SNR in dB − 1.76) / 6.02, with SNR = −20 log₁₀ of it.

    Arguments:
        relative: relative RMS error, above 0, scalar.

    Source: IEEE Standard 1241 (2010).
    """
    return float((-20 * np.log10(relative) - 1.76) / 6.02)
