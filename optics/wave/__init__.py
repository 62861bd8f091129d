"""Scalar diffraction on a sampled plane: time dependence exp(−iωt), SI units, axis at sample n//2.

A field is a complex array (..., rows, columns). Propagators map a field to a field; lenses, openings and
beams are arrays that a field is multiplied by. Phases are computed in double precision, so complex64 fields
are accurate. In incoherent light a pupil forms images by its `optical_transfer_function`.

Which propagator, on n samples of spacing dx:

| distance or plane | propagator |
| --- | --- |
| z up to n dx² / λ | `angular_spectrum` (exact), `fresnel` (paraxial) |
| z up to (n dx)² / (10 λ), or a shifted plane | `band_limited_angular_spectrum` |
| z from n dx² / λ | `fresnel_impulse_response`, or `zoom` to choose the spacing |
| z from 2 D² / λ, D the width of the light | `fraunhofer` |
| the focal plane of a lens against the plane | `focus`, or `zoom` to choose the spacing |
| from pixels through a 2f system to pixels | `optics.FourierLens` |

A propagator whose grid is too coarse or too small gives a `SamplingWarning` that names a remedy.
"""

from optics.wave._aberration import aberration as aberration
from optics.wave._angular_spectrum import angular_spectrum as angular_spectrum
from optics.wave._angular_spectrum import transfer_function as transfer_function
from optics.wave._apertures import aperture as aperture
from optics.wave._apertures import pixel_apertures as pixel_apertures
from optics.wave._apertures import rectangle as rectangle
from optics.wave._band_limited import band_limited_angular_spectrum as band_limited_angular_spectrum
from optics.wave._beams import gaussian as gaussian
from optics.wave._beams import tilt as tilt
from optics.wave._fraunhofer import focus as focus
from optics.wave._fraunhofer import fraunhofer as fraunhofer
from optics.wave._fraunhofer import fraunhofer_spacing as fraunhofer_spacing
from optics.wave._fresnel import fresnel as fresnel
from optics.wave._fresnel import fresnel_impulse_response as fresnel_impulse_response
from optics.wave._lenses import aspheric_lens as aspheric_lens
from optics.wave._lenses import cylindrical_lens as cylindrical_lens
from optics.wave._lenses import defocus as defocus
from optics.wave._lenses import lens as lens
from optics.wave._lenses import spherical_lens as spherical_lens
from optics.wave._optical_transfer_function import optical_transfer_function as optical_transfer_function
from optics.wave._sampling import SamplingWarning as SamplingWarning
from optics.wave._sampling import critical_distance as critical_distance
from optics.wave._zernike import noll as noll
from optics.wave._zernike import zernike as zernike
from optics.wave._zernike import zernike_xy as zernike_xy
from optics.wave._zernike_indices import fringe as fringe
from optics.wave._zernike_indices import noll_index as noll_index
from optics.wave._zernike_indices import osa as osa
from optics.wave._zoom import zoom as zoom
