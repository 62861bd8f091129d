"""A camera as EMVA 1288 describes it, from the numbers of its data sheet."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from optics._check import check_finite, check_flag, check_positive, check_range, check_whole, is_concrete
from optics._typing import ArrayLike, CountLike, FlagLike, ScalarLike
from optics.effects._effect import Effect
from optics.effects._noise import Read, Shot
from optics.effects._quantize import Quantize
from optics.effects._response import Bias, Dark, Gain, Saturate

PLANCK, LIGHT_SPEED = 6.62607015e-34, 299792458.0  # J s, m/s: exact in SI


def camera(
    full_well: ArrayLike,
    read_noise: ArrayLike,
    bits: CountLike,
    quantum_efficiency: ScalarLike = 1.0,
    photons: ScalarLike | None = None,
    dark_current: ArrayLike = 0.0,
    exposure: ScalarLike = 0.0,
    gain: ScalarLike | None = None,
    offset: ScalarLike = 0.0,
    prnu: ArrayLike | None = None,
    dsnu: ArrayLike | None = None,
    exact: FlagLike = False,
    raw: FlagLike = False,
    binned: ScalarLike | None = None,
) -> tuple[Effect, ...]:
    """The effects of a camera in the order of its physics, for `FourierProcessor(camera=...)`.

        electrons = Poisson(η μ_p x · prnu + μ_I t), at most the full well W
        y (DN)    = clip(round(K (electrons + dsnu + Normal(0, σ_r²)) + offset), 0, 2^bits − 1)
        x'        = (y − offset) / (K η μ_p)

    x is the frame in units of full scale, μ_p the photons that fall on a full-scale pixel in one frame. By
    default μ_p = W/η: full scale of the light fills the well; and K = (2^bits − 1 − offset)/W: the full well
    is the last level of the converter. Inside the chain the unit is the well, behind the converter's gain it
    is the last level. The result is in the unit of x again, and still holds the dark signal and the patterns.
    The converter's rounding is the only quantisation noise (1/12 DN²).

    Where several camera pixels are added for one pixel of the frame, each has a converter of its own. Noise
    makes their rounding errors independent, so that the sum has Normal noise of binned/12 DN² and is not
    rounded; its black level is subtracted before the sum and nothing is cut off at zero.

    Arguments:
        full_well: W, electrons, scalar or (rows, columns) map.
        read_noise: σ_r, electrons, scalar or map (`draw_read_noise`).
        bits: of the converter, 1 to 16.
        quantum_efficiency: η, electrons per photon, in (0, 1], scalar.
        photons: μ_p, scalar; None fills the well.
        dark_current: μ_I, electrons/s, scalar or map; it has shot noise.
        exposure: t, s, scalar.
        gain: K, DN per electron, scalar; None puts the full well at the last level.
        offset: DN, at least 0 and below the last level, scalar; it keeps the noise of dark pixels within the
            converter.
        prnu: response of each pixel relative to the mean (`draw_prnu`), scalar or map; None for none.
        dsnu: offset of each pixel (`draw_dsnu`), electrons, scalar or map; None for none.
        exact: draw Poisson counts instead of Gaussian ones.
        raw: give y / (2^bits − 1) instead of x'.
        binned: camera pixels that are added for one pixel of the frame, at least 1, scalar; None for one
            pixel with its converter. The other numbers are those of one camera pixel, but for `photons`,
            `prnu` and `dsnu`, which are of the sum.

    Returns:
        tuple of effects on intensity frames.

    Raises:
        ValueError: a number outside its range.

    Source: EMVA Standard 1288, release 4.0 (2021), linear model of camera and sensor.

    Example:
        >>> import optics
        >>> camera = optics.effects.camera(full_well=10_000.0, read_noise=2.0, bits=12)
        >>> print([type(effect).__name__ for effect in camera][:4])
        ['Dark', 'Shot', 'Saturate', 'Read']
    """
    check_whole("bits", bits, 1, 16)
    check_flag("exact", exact)
    check_flag("raw", raw)
    last = 2**bits - 1
    check_positive("full_well", full_well, "electrons")
    check_range("read_noise", read_noise, 0.0, math.inf, "electrons")
    check_range("quantum_efficiency", quantum_efficiency, 0.0, 1.0, open_low=True)
    check_range("dark_current", dark_current, 0.0, math.inf, "electrons/s")
    check_range("exposure", exposure, 0.0, math.inf, "s")
    check_range("offset", offset, 0.0, math.inf, "DN")
    if is_concrete(offset) and np.any(np.asarray(offset) >= last):
        raise ValueError(f"`offset` must be below the last level {last} of {bits} bits, got {offset} DN.")
    if binned is not None:
        check_range("binned", binned, 1.0, math.inf)
    if photons is not None:
        check_positive("photons", photons)
    if gain is not None:
        check_positive("gain", gain, "DN per electron")
    if prnu is not None:
        check_range("prnu", prnu, 0.0, math.inf)
        _check_map("prnu", prnu)
    if dsnu is not None:
        check_finite("dsnu", dsnu, "electrons")
        _check_map("dsnu", dsnu)
    dn_per_electron = (last - offset) / full_well if gain is None else gain
    if binned is not None:
        # Electrons and DN of the sum. Each converter adds a variance of 1/12 DN² to that of its readout.
        read_noise = jnp.sqrt(binned * (jnp.square(read_noise) + 1 / (12 * dn_per_electron**2)))
        full_well, dark_current = binned * full_well, binned * dark_current
        last, offset = binned * last, binned * offset
    # Share of the well that full scale of the light fills.
    well_share = 1.0 if photons is None else quantum_efficiency * photons / full_well
    chain: list[Effect] = []
    if photons is not None or prnu is not None:
        chain.append(Gain(well_share if prnu is None else well_share * prnu))
    chain += [
        Dark(dark_current * exposure / full_well),
        Shot(full_well, exact),
        Saturate(),
        Read(read_noise / full_well),
    ]
    if dsnu is not None:
        chain.append(Bias(dsnu / full_well))
    to_levels = [Gain(dn_per_electron * full_well / last), Bias(offset / last)]
    from_levels = [Bias(-offset / last), Gain(last / (dn_per_electron * full_well * well_share))]
    if binned is not None:
        return (*chain, *to_levels) if raw else (*chain, Gain(1 / well_share))
    return (*chain, *to_levels, Quantize(bits), *(() if raw else from_levels))


def _check_map(name: str, value: ArrayLike) -> None:
    if np.ndim(value) == 1:
        raise ValueError(
            f"`{name}` must be one number or a map of shape (rows, columns), got shape {np.shape(value)}."
        )


def photon_count(power: ArrayLike, exposure: ScalarLike, wavelength: ScalarLike) -> Array:
    """Photons in one exposure of light of a given power: μ_p = P t λ / (h c).

    Arguments:
        power: P on one pixel (irradiance times its area), W, scalar or map.
        exposure: t, s, scalar.
        wavelength: λ in vacuum, m, scalar.

    Returns:
        mean number of photons, shape of `power`.

    Raises:
        ValueError: `power` or `exposure` negative, or `wavelength` not positive.

    Source: EMVA 1288 (2021), linear model.
    """
    check_range("power", power, 0.0, math.inf, "W")
    check_range("exposure", exposure, 0.0, math.inf, "s")
    check_positive("wavelength", wavelength, "m")
    # The constants first: their product would underflow single precision.
    return jnp.asarray(power) * exposure * (wavelength * (1 / (PLANCK * LIGHT_SPEED)))


def dark_current_at(
    temperature: ScalarLike,
    reference: ArrayLike,
    reference_temperature: ScalarLike,
    doubling: ScalarLike = 8.0,
) -> Array:
    """Dark current at another temperature: μ_I(T) = μ_I(T₀) · 2^((T − T₀)/T_d).

    Arguments:
        temperature: T, °C or K, scalar.
        reference: μ_I(T₀), electrons/s, scalar or map.
        reference_temperature: T₀, in the same unit as `temperature`, scalar.
        doubling: T_d, the step that doubles it, K, scalar.

    Returns:
        electrons/s, shape of `reference`.

    Raises:
        ValueError: a temperature that is not finite, `reference` negative or `doubling` not positive.

    Source: EMVA 1288 (2021), dark current; 8 K is typical of silicon.
    """
    check_finite("temperature", temperature)
    check_finite("reference_temperature", reference_temperature)
    check_range("reference", reference, 0.0, math.inf, "electrons/s")
    check_positive("doubling", doubling, "K")
    return jnp.asarray(reference) * 2.0 ** ((temperature - reference_temperature) / doubling)
