"""The phase that a camera does not see, found by iteration. Each retrieval returns `Retrieved(object, field, residual)`."""

from optics.retrieve._ambiguity import align as align
from optics.retrieve._ambiguity import error as error
from optics.retrieve._amplitude_flow import amplitude_flow as amplitude_flow
from optics.retrieve._gerchberg_saxton import gerchberg_saxton as gerchberg_saxton
from optics.retrieve._hio import error_reduction as error_reduction
from optics.retrieve._hio import hio as hio
from optics.retrieve._implicit_gradient import implicit_gradient as implicit_gradient
from optics.retrieve._planes import dft as dft
from optics.retrieve._raar import raar as raar
from optics.retrieve._retrieved import Retrieved as Retrieved
from optics.retrieve._weighted_gs import efficiency as efficiency
from optics.retrieve._weighted_gs import uniformity as uniformity
from optics.retrieve._weighted_gs import weighted_gerchberg_saxton as weighted_gerchberg_saxton
