"""A lens in light of several modes."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from optics._check import check_instance, check_number, is_concrete
from optics._typing import LensLike, PartLike, ScalarLike, TextLike
from optics.light import Light
from optics.transfer._fourier_lens import FourierLens
from optics.transfer._modal import Modal


def illuminate(
    lens: LensLike, light: PartLike, glass: TextLike | None = None, path_difference: ScalarLike = 0.0
) -> Modal:
    """The lens as each mode of the light meets it.

        mode m:  wavelength λ_m,  tilt of its beam on the modulator + that of the lens,
                 f_m = f (n(λ) − 1) / (n(λ_m) − 1),  aberrations λ / λ_m,  phase 2π d (1/λ_m − 1/λ)

    λ and f are those of the lens, a singlet of one glass; its pixels, samples and the paths of its errors
    are the same for all modes.

    Arguments:
        lens: at its design wavelength.
        light: `light.Light`, such as `optics.light.line(1.55e-6, 10e-9, modes=5)`.
        glass: one of `optics.glass.names()`, whose dispersion moves the focus; by default the focal length is
            the same for all wavelengths, as of an achromat or a mirror.
        path_difference: d, by how much the path of the light is longer than that of the reference, m, scalar.

    Returns:
        `Modal` of `FourierLens`; `compile_transfer` compiles it.

    Raises:
        ValueError: no `FourierLens`, no `Light`, a glass that is unknown or does not pass one of the
            wavelengths, or a `path_difference` that is not finite.

    Source: M. Born and E. Wolf, Principles of Optics (1999), section 10.3, on light of several frequencies.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> optics.illuminate(lens, optics.light.line(1.55e-6, 10e-9, modes=3)).modes
        3
    """
    check_instance("lens", lens, FourierLens, "`optics.FourierLens(11, pitch=127e-6, wavelength=1.55e-6)`")
    check_instance("light", light, Light, "`optics.light.line(1.55e-6, 10e-9, modes=5)`")
    check_number("path_difference", path_difference, unit="m")
    focal_length = jnp.broadcast_to(lens.focal_length, light.wavelength.shape)
    if glass is not None:
        from optics import glass as glasses

        focal_length = glasses.focal_length(glass, lens.focal_length, lens.wavelength, light.wavelength)

    # Every number has an axis of modes, also those that are the same in all of them.
    modes = jax.tree.map(lambda leaf: _repeat(leaf, light.modes), lens)
    modes = eqx.tree_at(
        lambda lens: (lens.wavelength, lens.tilt, lens.focal_length, lens.aberrations),
        modes,
        (
            light.wavelength,
            lens.tilt + light.tilt,
            focal_length,
            lens.aberrations * (lens.wavelength / light.wavelength)[:, None],
        ),
    )
    # Of the carrier against the lens, and of each mode against the carrier: detunings hold more digits.
    turns = (lens.wavelength - light.carrier) / (
        lens.wavelength * light.carrier
    ) + light.detuning / light.carrier
    return Modal(modes, light.weights, 2 * jnp.pi * path_difference * turns)


def _repeat(leaf: Array, modes: int) -> Array:
    """A number of the lens along a first axis of modes; one that is known stays known under `jit`."""
    if not is_concrete(leaf):
        return jnp.broadcast_to(leaf, (modes, *leaf.shape))
    with jax.ensure_compile_time_eval():
        return jnp.broadcast_to(leaf, (modes, *leaf.shape))
