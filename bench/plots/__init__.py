"""Pictures of everything: `plots.show(part)`, or one function for each kind; all return a matplotlib Figure."""

from bench.plots._attention import attention_map as attention_map
from bench.plots._curves import training_curves as training_curves
from bench.plots._error_budget import error_budget as error_budget
from bench.plots._field import field as field
from bench.plots._frames import frames as frames
from bench.plots._layout import layout as layout
from bench.plots._show import show as show
from bench.plots._transfer_matrix import transfer_matrix as transfer_matrix
