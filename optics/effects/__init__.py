"""Nonidealities: one small class each, all of one type, (value, key) -> value.

A tuple of effects is a chain, and its order is the physics; `apply` passes a value through it. A unit key
draws the fixed pattern of one physical copy once (`draw_...`); the key of a call draws the noise, and None
gives the value without noise. Numbers are pytree leaves: `jax.grad` gives a sensitivity, `jax.vmap` a sweep
or a population of units.

| where | effects |
| --- | --- |
| converters | `Quantize`, `PhaseQuantize`; `QuantizationNoise` of bits that are not whole, `soften_bits` |
| response of a modulator | `PhaseLUT`, `Crosstalk` (`SuperGaussian`, `Exponential`), `Gain`, `StuckPixels` |
| light that is not modulated | `Extinction`, `DeadSpace`, `Bias` |
| light of several modes | `PerMode`, an effect that differs between them; `phase_dispersion` of a panel |
| polarisation | `ParallelAligned` (`unmodulated_modes`, `analysed_modes`), `TwistedNematic` |
| light that fluctuates | `Flicker`, `LaserNoise`, `Drift`; `Speckle` of frames |
| detectors | `Dark`, `Gain`, `Saturate`, `Bias`; `Shot`, `BalancedShot` and `Read` noise |
| a whole camera by EMVA 1288 | `camera`, with `photon_count` and `dark_current_at` |
| one unit | `draw_prnu`, `draw_dsnu`, `draw_read_noise`, `draw_stuck`, `draw_lut_error`, `draw_drift` |

A new effect is one file here, a subclass of `Effect` (`Modulation` for light alone, `Noise` for Gaussian
noise of detectors), one line in this file, and one line in `tests/parts.py`.
"""

from optics.effects._camera import camera as camera
from optics.effects._camera import dark_current_at as dark_current_at
from optics.effects._camera import photon_count as photon_count
from optics.effects._chain import apply as apply
from optics.effects._chain import laser_power as laser_power
from optics.effects._crosstalk import Crosstalk as Crosstalk
from optics.effects._crosstalk_kernels import AbstractKernel as AbstractKernel
from optics.effects._crosstalk_kernels import Exponential as Exponential
from optics.effects._crosstalk_kernels import SuperGaussian as SuperGaussian
from optics.effects._dead_space import DeadSpace as DeadSpace
from optics.effects._drift import Drift as Drift
from optics.effects._drift import draw_drift as draw_drift
from optics.effects._effect import Effect as Effect
from optics.effects._effect import Modulation as Modulation
from optics.effects._extinction import Extinction as Extinction
from optics.effects._flicker import Flicker as Flicker
from optics.effects._laser_noise import LaserNoise as LaserNoise
from optics.effects._noise import BalancedShot as BalancedShot
from optics.effects._noise import Noise as Noise
from optics.effects._noise import Read as Read
from optics.effects._noise import Shot as Shot
from optics.effects._parallel_aligned import ParallelAligned as ParallelAligned
from optics.effects._parallel_aligned import analysed_modes as analysed_modes
from optics.effects._parallel_aligned import unmodulated_modes as unmodulated_modes
from optics.effects._per_mode import PerMode as PerMode
from optics.effects._phase_dispersion import phase_dispersion as phase_dispersion
from optics.effects._phase_lut import PhaseLUT as PhaseLUT
from optics.effects._phase_quantize import PhaseQuantize as PhaseQuantize
from optics.effects._quantization_noise import QuantizationNoise as QuantizationNoise
from optics.effects._quantization_noise import soften_bits as soften_bits
from optics.effects._quantize import Quantize as Quantize
from optics.effects._response import Bias as Bias
from optics.effects._response import Dark as Dark
from optics.effects._response import Gain as Gain
from optics.effects._response import Saturate as Saturate
from optics.effects._speckle import Speckle as Speckle
from optics.effects._stuck_pixels import StuckPixels as StuckPixels
from optics.effects._twisted_nematic import TwistedNematic as TwistedNematic
from optics.effects._unit_draws import draw_dsnu as draw_dsnu
from optics.effects._unit_draws import draw_lut_error as draw_lut_error
from optics.effects._unit_draws import draw_prnu as draw_prnu
from optics.effects._unit_draws import draw_read_noise as draw_read_noise
from optics.effects._unit_draws import draw_stuck as draw_stuck
