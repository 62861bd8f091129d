"""The twin of a bench: any numbers of a simulated device fitted to recorded frames."""

from optics.twin.expected import compiled as compiled
from optics.twin.fit import fit_twin as fit_twin
from optics.twin.recording import Recording as Recording
from optics.twin.result import Fit as Fit
from optics.twin.table import inverse_table as inverse_table
