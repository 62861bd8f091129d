"""Phase retrieval: the phase that a camera does not see, found by iteration.

| problem | use | why |
| --- | --- | --- |
| one amplitude and a support | `hio`, `raar` | they leave local minima; `raar` settles better in noise |
| the same, near the object | `error_reduction`, `amplitude_flow` | the misfit falls, by the flow faster |
| an amplitude in each of two planes | `gerchberg_saxton` | also designs phase holograms |
| a complex field, with masks of one's own | `coded_diffraction` | a known reference to begin from |
| an array of spots | `weighted_gerchberg_saxton` | makes all spots equally bright |

Each returns `Retrieved(object, field, residual)`, for one amplitude or for a batch of them. A residual far
above the noise means that the search stopped at a wrong object: give it more `restarts` or `iterations`.
`align` and `aligned_error` compare objects up to what an amplitude leaves open: a shift, a factor of modulus
1 and the twin image.

Gradients flow through every iteration; `implicit_gradient` makes them of the final object alone, at constant
memory. Any linear `forward` can stand between the planes, such as the transfer of a device; by default it is
`centred_dft`.

A new rule for one amplitude and a support is one file here: a `Rule` with one method, and a function that
passes it to `search` with the `Problem`.
"""

from optics.retrieve._ambiguity import align as align
from optics.retrieve._ambiguity import aligned_error as aligned_error
from optics.retrieve._amplitude_flow import amplitude_flow as amplitude_flow
from optics.retrieve._coded_diffraction import coded_diffraction as coded_diffraction
from optics.retrieve._error_reduction import error_reduction as error_reduction
from optics.retrieve._gerchberg_saxton import gerchberg_saxton as gerchberg_saxton
from optics.retrieve._hio import hio as hio
from optics.retrieve._implicit_gradient import implicit_gradient as implicit_gradient
from optics.retrieve._raar import raar as raar
from optics.retrieve._retrieved import Retrieved as Retrieved
from optics.retrieve._spots import efficiency as efficiency
from optics.retrieve._spots import uniformity as uniformity
from optics.retrieve._transform import centred_dft as centred_dft
from optics.retrieve._weighted_gs import weighted_gerchberg_saxton as weighted_gerchberg_saxton
