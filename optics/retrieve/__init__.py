"""The phase that a camera does not see, found by iteration. Each retrieval returns `Retrieved(object, field, residual)`."""

from optics.retrieve.ambiguity import align as align
from optics.retrieve.ambiguity import error as error
from optics.retrieve.fienup import error_reduction as error_reduction
from optics.retrieve.fienup import hio as hio
from optics.retrieve.flow import amplitude_flow as amplitude_flow
from optics.retrieve.implicit import implicit_gradient as implicit_gradient
from optics.retrieve.planes import dft as dft
from optics.retrieve.relaxed import raar as raar
from optics.retrieve.result import Retrieved as Retrieved
from optics.retrieve.spots import efficiency as efficiency
from optics.retrieve.spots import uniformity as uniformity
from optics.retrieve.spots import weighted_gerchberg_saxton as weighted_gerchberg_saxton
from optics.retrieve.two_planes import gerchberg_saxton as gerchberg_saxton
