"""Pictures of everything: `plots.show(part)`, or one function for each kind; all return a matplotlib Figure."""

from bench.plots.attention import attention_map as attention_map
from bench.plots.budget import error_budget as error_budget
from bench.plots.camera import frames as frames
from bench.plots.curves import training_curves as training_curves
from bench.plots.drawing import layout as layout
from bench.plots.fields import field as field
from bench.plots.parts import show as show
from bench.plots.transfer import transfer_matrix as transfer_matrix
