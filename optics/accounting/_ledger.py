"""The ledger: counts of exposures and conversions times their assumed costs."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from optics._assumptions import Assumption
from optics._check import as_shape, check_instance, describe
from optics._typing import DeviceLike, PartLike, ScalarLike, ShapeLike
from optics.accounting._costs import hardware, hardware_names
from optics.accounting._counts import Counts, count
from optics.convolution import convolve
from optics.device import AbstractDevice
from optics.metrics import effective_bits, relative_error

# Planes over which the bits are measured.
PLANES = 64


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What a computation costs on a device.

    Attributes:
        exposures: one after the other on one device.
        seconds: of all exposures.
        joules: of all exposures, the sum of `terms`.
        dac, adc: conversions.
        bits: effective bits of the result, (SNR in dB − 1.76) / 6.02; None where no result was measured.
        low, high: joules with every assumption at its cheapest and dearest.
        terms: joules by cause, (value, low, high).
    """

    exposures: int
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
        """The share of the energy that converters, modulators and receivers take."""
        if not self.joules:
            return 0.0
        return sum(self.terms[name][0] for name in ("DACs", "modulators", "ADCs", "receivers")) / self.joules

    def __str__(self) -> str:
        lines = [
            f"{self.exposures:,} exposures in {self.seconds:.3g} s, "
            f"{self.dac:,} numbers written and {self.adc:,} read"
        ]
        lines += [f"{self.bits:.1f} effective bits"] if self.bits is not None else []
        lines += [
            f"{self.joules:.3g} J ({self.low:.2g} to {self.high:.2g}), "
            f"{100 * self.conversion:.0f} % of it for conversion"
        ]
        lines += [
            f"    {name} {value:.2g} J ({low:.2g} to {high:.2g})"
            for name, (value, low, high) in self.terms.items()
        ]
        return "\n".join(lines)


def ledger(
    device: DeviceLike,
    x_shape: ShapeLike,
    w_shape: ShapeLike,
    costs: PartLike = None,
) -> Ledger:
    """What `optics.convolve(x, w, device, key)` of real arrays costs.

    Arguments:
        device: `FourierProcessor` and its like.
        x_shape, w_shape: of x and w, the last two axes the device's pixels; leading axes broadcast as in x *
            w.
        costs: of an exposure and of a conversion, `optics.accounting.hardware(name, ...)` or the name alone.
            It may be left out for devices with a coherent receiver or a balanced pair at every pixel, which
            are "integrated".

    Returns:
        `Ledger`. Its bits are measured on 64 planes of normally distributed numbers, with one draw of noise
        and the photons that the device has, whatever exposure the costs suppose.

    Raises:
        ValueError: shapes that `convolve` refuses, a `device` that is none, a device with a camera or
            with several wavelengths without costs, or a cost that is missing.

    Example:
        >>> import optics
        >>> costs = optics.ledger(optics.presets.load("ideal"), (8, 1, 11, 11), (3, 11, 11))
        >>> costs.exposures, costs.dac, costs.adc
        (35, 7139, 5566)
    """
    check_instance("device", device, AbstractDevice, "`optics.presets.load(name)`")
    arrays = []
    for name, value in (("x_shape", x_shape), ("w_shape", w_shape)):
        shape = as_shape(name, value)
        if shape[-2:] != device.shape:
            raise ValueError(f"`{name}` must end with the {device.shape} pixels of `device`, got {shape}.")
        arrays.append(jnp.zeros(shape))
    costs = None if costs is None else as_costs(costs)
    counts = count(lambda device, key: convolve(*arrays, device, key), device)
    if costs is None:
        # The last stage is the detector of the result.
        if not device.stages()[-1].single_exposure:
            raise ValueError(
                "`costs` must be given for a device with a camera: `optics.accounting.hardware(name)`, "
                f"name one of {', '.join(hardware_names())}."
            )
        if device.stages()[-1].simultaneous > 1:
            raise ValueError(
                "`costs` must be given for a device of several wavelengths, each with a laser: "
                'four of them are `optics.accounting.hardware("integrated-wavelengths")`.'
            )
        costs = "integrated"
    return dataclasses.replace(price(counts, costs), bits=_measure_bits(device))


def price(counts: PartLike, costs: PartLike) -> Ledger:
    """Seconds and joules of counts of exposures and conversions.

        T = exposures · exposure_time / engines
        E = dac · (dac_energy + modulator_energy) + adc · (adc_energy + receiver_energy)
            + (dac + adc) · memory_energy
            + exposure_time · (exposures · laser_power + adc · oscillator_power) / wall_plug
            + exposure_time · exposures · static_power

    `laser_power` is the mean over the exposures. Their light differs, as full scale is set for each of them
    (`FourierProcessor.relative_light`): on `engine11` 0.14 mW where all pixels are equal, 0.23 mW for random
    numbers, which the "integrated" hardware supposes, and 17 mW where one pixel shines alone, before losses.
    A laser of one power (`FourierProcessor.with_fixed_laser`) gives the light of an even plane, 0.12 mW, in
    every exposure.

    Arguments:
        counts: as `count` returns them.
        costs: `optics.accounting.hardware(name, ...)`, or the name alone.

    Returns:
        `Ledger` without bits.

    Raises:
        ValueError: `counts` that are none, an unknown name, or a cost that is missing.
    """
    check_instance("counts", counts, Counts, "what `optics.accounting.count` returns")
    costs = as_costs(costs)

    def terms(
        pick: Callable[[Assumption], float], pick_efficiency: Callable[[Assumption], float]
    ) -> dict[str, float]:
        at = {name: pick(assumption) for name, assumption in costs.items()}
        return joules_by_cause(counts, at | {"wall_plug": pick_efficiency(costs["wall_plug"])})

    # The most efficient laser is the cheapest.
    value = terms(lambda a: a.value, lambda a: a.value)
    low = terms(lambda a: a.low, lambda a: a.high)
    high = terms(lambda a: a.high, lambda a: a.low)
    return Ledger(
        exposures=counts.exposures,
        seconds=counts.exposures * costs["exposure_time"].value / costs["engines"].value,
        joules=sum(value.values()),
        dac=counts.dac,
        adc=counts.adc,
        bits=None,
        low=sum(low.values()),
        high=sum(high.values()),
        terms={name: (value[name], low[name], high[name]) for name in value},
    )


def joules_by_cause(counts: Counts, at: dict[str, ScalarLike]) -> dict[str, ScalarLike]:
    """The joules of `price`, by what takes them, at these values of the costs."""
    exposing = counts.exposures * at["exposure_time"]
    light = exposing * at["laser_power"] + counts.adc * at["exposure_time"] * at["oscillator_power"]
    return {
        "DACs": counts.dac * at["dac_energy"],
        "modulators": counts.dac * at["modulator_energy"],
        "ADCs": counts.adc * at["adc_energy"],
        "receivers": counts.adc * at["receiver_energy"],
        "memory": (counts.dac + counts.adc) * at["memory_energy"],
        "laser": light / at["wall_plug"],
        "standing power": exposing * at["static_power"],
    }


def as_costs(costs: PartLike) -> dict[str, Assumption]:
    """The costs of a kind of hardware by its name, or as they are; refuse anything else."""
    if isinstance(costs, str) and costs not in hardware_names():
        raise ValueError(
            f"`costs` must be a kind of hardware, one of {', '.join(hardware_names())}; got "
            f"{describe(costs)}."
        )
    costs = hardware(costs) if isinstance(costs, str) else costs
    check_instance("costs", costs, dict, "`optics.accounting.hardware(name)`, or the name")
    missing = [name for name in hardware() if not isinstance(costs.get(name), Assumption)]
    if missing:
        raise ValueError(
            f"`costs` must have every figure of `optics.accounting.hardware()`; {', '.join(missing)} missing."
        )
    return costs


def _measure_bits(device: DeviceLike) -> float:
    """Effective bits of a convolution of normally distributed numbers, the exact one in double precision."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, w = (jax.random.normal(key, (PLANES, *device.shape)) for key in keys[:2])
    y = jax.jit(convolve)(x, w, device, keys[2])
    of_x, of_w = (np.fft.fft2(np.asarray(a, np.float64)) for a in (x, w))
    exact = np.fft.ifft2(of_x * of_w).real
    return effective_bits(relative_error(y, exact))
