"""An effect that differs between modes of light."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Inexact

from optics._check import check_instance
from optics._typing import EffectLike
from optics.effects._effect import Effect, Modulation


class PerMode(Modulation):
    """An effect of a modulator whose numbers differ from one mode of its light to the next.

        light of mode m -> of_modes[m](light)

    The phase that a panel gives is for one wavelength: at another it is shorter or longer. Light along the
    other polarisation is not modulated at all. The device must have a transfer with as many modes
    (`transfer.Modal`). A draw of noise is that of the one panel, the same for all modes.

    Arguments:
        nominal: the effect that the electronics reckon with, where they set full scale.
        of_modes: an effect of the same type and structure whose numbers have a first axis of modes, such as
            `jax.vmap(lambda stretch: PhaseLUT(stretch=stretch))(stretches)` makes.

    Raises:
        ValueError: `nominal` no effect, or `of_modes` none of the same structure with one more axis.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> stretched = jax.vmap(lambda s: optics.effects.PhaseLUT(stretch=s))(jnp.array([-0.01, 0.01]))
        >>> optics.effects.PerMode(optics.effects.PhaseLUT(), stretched).modes
        2
    """

    nominal: Effect
    of_modes: Effect

    def __init__(self, nominal: EffectLike, of_modes: EffectLike):
        check_instance("nominal", nominal, Effect, "`optics.effects.PhaseLUT()`")
        check_instance("of_modes", of_modes, Effect, "a `jax.vmap` of one over modes")
        self.nominal = nominal
        self.of_modes = of_modes

    def __check_init__(self):
        one, many = (
            jax.tree.flatten(eqx.filter(part, eqx.is_array)) for part in (self.nominal, self.of_modes)
        )
        counts = {np.shape(leaf)[:1] for leaf in many[0]}
        if one[1] != many[1] or len(counts) != 1 or counts == {()}:
            raise ValueError(
                "`of_modes` must be an effect like `nominal`, with a first axis of modes in all of its "
                f"numbers; got {type(self.of_modes).__name__} with the axes {sorted(counts)} for "
                f"{type(self.nominal).__name__}. `jax.vmap` of what makes one gives it."
            )

    @property
    def modes(self) -> int:
        """The number of modes."""
        return len(jax.tree.leaves(eqx.filter(self.of_modes, eqx.is_array))[0])

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        """What the nominal effect does; a device lets each mode meet its own."""
        return self.nominal(value, key)

    def laser_power(
        self, key: Array, shape: tuple[int, ...], dtype: np.dtype
    ) -> Float[Array, "*shape"] | None:
        """The power of the laser behind the nominal effect."""
        return self.nominal.laser_power(key, shape, dtype)
