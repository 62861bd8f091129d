"""The twin of a bench: any numbers of a simulated device fitted to recorded frames."""

from optics.twin._fit import fit_twin as fit_twin
from optics.twin._inverse_table import inverse_table as inverse_table
from optics.twin._recording import Recording as Recording
from optics.twin._result import Fit as Fit
