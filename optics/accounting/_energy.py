"""The joules of the ledger as a differentiable function of the numbers of a device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from optics._check import check_given_key, check_instance, check_number, check_positive_number
from optics._typing import DeviceLike, KeyLike, PartLike, ScalarLike
from optics.accounting._counts import Counts
from optics.accounting._ledger import as_costs, joules_by_cause
from optics.device import Exposure, FourierProcessor

# Bits of the converters, of the modulators' drivers and of the memory words whose joules the ledger has.
LEDGER_BITS = 8.0
# Planes of random numbers over which light is averaged.
PLANES = 16


def energy(
    counts: PartLike,
    costs: PartLike,
    dac_bits: ScalarLike = LEDGER_BITS,
    adc_bits: ScalarLike = LEDGER_BITS,
    laser: ScalarLike = 1.0,
    oscillator: ScalarLike = 1.0,
) -> Float[Array, ""]:
    """Joules of a computation as `price` gives them, on converters of other bits and in other light.

        dac_energy · (2^b / b) / (2^8 / 8)       a DAC of b bits
        adc_energy · 2^b / 2^8                   an ADC of b bits
        modulator_energy · b / 8                 a driver, so many joules a bit
        memory_energy · b / 8                    a word of b bits, those of the DAC or of the ADC
        laser_power · laser,  oscillator_power · oscillator

    The figures of the ledger are those of 8 bits, so that the result is that of `price` at the defaults. It
    is an ordinary function of its last four arguments: `jax.grad` gives what a bit costs.

    Arguments:
        counts: as `count` returns them.
        costs: `optics.accounting.hardware(name, ...)`, or the name alone.
        dac_bits, adc_bits: of the converters, from 1 to 16, whole or not.
        laser: light of the laser over what `laser_power` supposes; it grows with the photons of a full-scale
            pixel and with `mean_light`.
        oscillator: light of the local oscillator over what `oscillator_power` supposes.

    Returns:
        joules, a scalar.

    Raises:
        ValueError: `counts` or `costs` that `price` refuses, bits outside their range, or light that is not
            positive.

    Example:
        >>> from optics import accounting
        >>> counts = accounting.Counts(exposures=1, dac=242, adc=242)
        >>> few, ledger = (accounting.energy(counts, "integrated", adc_bits=bits) for bits in (4, 8))
        >>> f"{few * 1e9:.2f} nJ, {ledger * 1e9:.2f} nJ"
        '1.99 nJ, 2.43 nJ'

    Source: DAC: H. Zhu et al., Lightening-Transformer, HPCA 2024, whose simulator scales its DAC of switched
    capacitors so. ADC: R. H. Walden, IEEE J. Sel. Areas Commun. 17, 539 (1999), energy a conversion step.
    """
    check_instance("counts", counts, Counts, "what `optics.accounting.count` returns")
    for name, bits in (("dac_bits", dac_bits), ("adc_bits", adc_bits)):
        check_number(name, bits, 1.0, 16.0, "bits")
    check_positive_number("laser", laser)
    check_positive_number("oscillator", oscillator)
    at = {name: assumption.value for name, assumption in as_costs(costs).items()}
    writing = at | {
        "dac_energy": at["dac_energy"] * jnp.exp2(dac_bits - LEDGER_BITS) * LEDGER_BITS / dac_bits,
        "modulator_energy": at["modulator_energy"] * dac_bits / LEDGER_BITS,
        "memory_energy": at["memory_energy"] * dac_bits / LEDGER_BITS,
        "laser_power": at["laser_power"] * laser,
    }
    reading = at | {
        "adc_energy": at["adc_energy"] * jnp.exp2(adc_bits - LEDGER_BITS),
        "memory_energy": at["memory_energy"] * adc_bits / LEDGER_BITS,
        "oscillator_power": at["oscillator_power"] * oscillator,
    }
    # Words that are read have other bits than those that are written, and joules are linear in the counts.
    parts = (
        joules_by_cause(Counts(counts.exposures, counts.dac, 0), writing),
        joules_by_cause(Counts(0, 0, counts.adc), reading),
    )
    return jnp.asarray(sum(joules for part in parts for joules in part.values()))


def mean_light(device: DeviceLike, key: KeyLike) -> Float[Array, ""]:
    """The light that real random numbers take of a device, with its gradient by the numbers of the lens.

        ⟨ Σ |slm(drive)|² / full_scale² ⟩,   full_scale = headroom · peak · Σ |drive|

    It is the mean of `FourierProcessor.relative_light`, which takes full scale for a setting; here full scale
    follows the lens. Doubled fill factors of modulator and detector make it sixteen times less.

    Arguments:
        device: `FourierProcessor`, whose encoder and modulator are linear.
        key: of the random numbers.

    Returns:
        power behind the modulator over that of a detector pixel at full scale, a scalar.

    Raises:
        ValueError: another device, or no key.

    Example:
        >>> import jax, optics
        >>> device = optics.presets.load("engine11")
        >>> print(f"{optics.accounting.mean_light(device, jax.random.key(0)):.1f}")
        22.5
    """
    check_instance("device", device, FourierProcessor, '`optics.presets.load("engine11")`')
    check_given_key("key", key)
    drive, _, scale = device.prepare(jax.random.normal(key, (PLANES, *device.shape)))
    bound = device.headroom * device.peak * jnp.sum(jnp.abs(drive), axis=(-2, -1), keepdims=True)
    return jnp.mean(device.relative_light(Exposure(drive, bound, scale)))
