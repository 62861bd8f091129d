"""Encoders: numbers -> drive of a modulator, and the fields of its exposures -> the field of the numbers.

| modulator | encoder | exposures | pixels a number |
| --- | --- | --- | --- |
| amplitude and phase | `ComplexAmplitude` | 1 | 1 |
| amplitude from 0 to 1 | `Amplitude` | 1 to 4: not negative, real, complex | 1 |
| phase alone | `DoublePhase` | 1, or 2 to be exact off the axis | 1×2 or 2×2 |
| phase alone | `SequentialPhase` | 2, exact off the axis, few jumps for crosstalk to act on | 1 |
| phase alone, off the axis | `Blazed` | 1, or as many as its period | 1×period |
| mirrors that switch | `BitPlanes` | bits · parts | 1 |
| mirrors that switch, off the axis | `Superpixel` | 1 | size×size |

`Predistorted` wraps any of them: the numbers are changed so that the light behind a modulator that is known
is the wanted one. `GuardPixels` wraps any of them too: each pixel of the drive is a square of panel pixels,
the outer ones of which hold what does not change, so that crosstalk between numbers falls.

`complex_amplitude`, `phase_only` and `flat_spectrum` encode the filter of a `Correlator`; `bit_planes` is
the step behind `BitPlanes`.

A new encoder is one file here, a subclass of `Encoder`, one line in this file, and one line in
`tests/parts.py`.
"""

from optics.encode._amplitude import Amplitude as Amplitude
from optics.encode._bit_planes import BitPlanes as BitPlanes
from optics.encode._bit_planes import bit_planes as bit_planes
from optics.encode._blazed import Blazed as Blazed
from optics.encode._complex_amplitude import ComplexAmplitude as ComplexAmplitude
from optics.encode._complex_amplitude import complex_amplitude as complex_amplitude
from optics.encode._double_phase import DoublePhase as DoublePhase
from optics.encode._encoder import Encoder as Encoder
from optics.encode._guard_pixels import GuardPixels as GuardPixels
from optics.encode._phase_only import flat_spectrum as flat_spectrum
from optics.encode._phase_only import phase_only as phase_only
from optics.encode._predistorted import Predistorted as Predistorted
from optics.encode._sequential_phase import SequentialPhase as SequentialPhase
from optics.encode._superpixel import Superpixel as Superpixel
