"""Polarised light by Jones calculus: vectors (..., 2) of light, matrices (..., 2, 2) of elements.

    behind = transmit(field, polariser(0.0), quarter_wave_plate(jnp.pi / 4))     in the order of the light
    stokes(behind)                                                               S₀, S₁, S₂, S₃

Conventions, here and nowhere else:

- A field is Re[(E_x, E_y) exp(i(kz − ωt))], as everywhere in `optics`: a longer path adds to the phase.
- x points right and y up for an observer whom the light meets; z points at that observer.
- Angles are in rad from x towards y, counter-clockwise for that observer. An element at an angle θ is
  R(θ) J R(−θ), and R(θ) = `rotation(θ)` turns the light, not the axes.
- Right circular light turns clockwise for that observer: (1, −i)/√2, S₃ = +S₀ (Born and Wolf, Hecht).
- The angle of a wave plate is that of its fast axis; its phase is the mean of its two axes (determinant 1).
- The angle of a liquid-crystal cell is that of its director, which is the slow axis; its phase is that
  relative to the ordinary wave, because a voltage changes the extraordinary index alone.

Stokes parameters are powers, S₀ = |E_x|² + |E_y|², S₁ = |E_x|² − |E_y|², S₂ = 2 Re E_x E_y*,
S₃ = 2 Im E_x E_y*. Light that is not fully polarised is a sum of modes that do not interfere, on an axis of
its own with weights. All is differentiable and takes angles of any shape, so that `jax.vmap` is not needed.

Panels whose light is not along the director are effects: `effects.ParallelAligned` and
`effects.TwistedNematic`.
"""

from optics.polarisation._analysis import analyser as analyser
from optics.polarisation._analysis import stokes_from_intensities as stokes_from_intensities
from optics.polarisation._cells import parallel_aligned as parallel_aligned
from optics.polarisation._cells import twisted_nematic as twisted_nematic
from optics.polarisation._cells import twisted_nematic_transmission as twisted_nematic_transmission
from optics.polarisation._elements import half_wave_plate as half_wave_plate
from optics.polarisation._elements import polariser as polariser
from optics.polarisation._elements import quarter_wave_plate as quarter_wave_plate
from optics.polarisation._elements import rotation as rotation
from optics.polarisation._elements import transmit as transmit
from optics.polarisation._elements import wave_plate as wave_plate
from optics.polarisation._states import circular as circular
from optics.polarisation._states import linear as linear
from optics.polarisation._stokes import degree_of_polarisation as degree_of_polarisation
from optics.polarisation._stokes import mueller as mueller
from optics.polarisation._stokes import stokes as stokes
