"""Light -> frames -> complex field. A measurement has `frames(field)` and `field(frames)`, in units of full scale."""

from optics.detect._balanced import Balanced as Balanced
from optics.detect._coherent import Coherent as Coherent
from optics.detect._intensity import Intensity as Intensity
from optics.detect._off_axis import OffAxis as OffAxis
from optics.detect._offset import Offset as Offset
from optics.detect._phase_shifting import PhaseShifting as PhaseShifting
