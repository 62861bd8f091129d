"""Light -> frames -> complex field. A measurement has `frames(field)` and `field(frames)`, in units of full scale."""

from optics.detect.balanced import Balanced as Balanced
from optics.detect.coherent import Coherent as Coherent
from optics.detect.intensity import Intensity as Intensity
from optics.detect.off_axis import OffAxis as OffAxis
from optics.detect.offset import Offset as Offset
from optics.detect.phase_shifting import PhaseShifting as PhaseShifting
