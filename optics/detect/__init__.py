"""Measurements: light -> frames -> complex field.

| measurement | frames of a field | needs |
| --- | --- | --- |
| `Coherent` | 2 at once, signed; 1 of a real field | a local oscillator; differences of balanced pairs |
| `Balanced` | 4 at once; 2 of a real field | the same pairs, each photodiode read on its own |
| `PhaseShifting` | one a step, at least 2 | a reference beam that is stepped in phase |
| `OffAxis` | 1 | a tilted reference, four camera columns a pixel |
| `Offset` | 2; 1 of a real field | a known bias at least as bright as the field |
| `PhaseDiversity` | one a mask, at least 3 | masks and a fixed pattern on the modulator; a retrieval |
| `Intensity` | 1 | a retrieval that finds the phase (`optics.retrieve`) |

A new measurement is one file here, a subclass of `AbstractMeasurement`, one line in this file, and one line
in `tests/parts.py`.
"""

from optics.detect._balanced import Balanced as Balanced
from optics.detect._coherent import Coherent as Coherent
from optics.detect._intensity import Intensity as Intensity
from optics.detect._measurement import AbstractMeasurement as AbstractMeasurement
from optics.detect._off_axis import OffAxis as OffAxis
from optics.detect._offset import Offset as Offset
from optics.detect._phase_diversity import PhaseDiversity as PhaseDiversity
from optics.detect._phase_shifting import PhaseShifting as PhaseShifting
from optics.detect._phase_shifting import hariharan as hariharan
