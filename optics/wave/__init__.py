"""Scalar diffraction on a sampled plane: time dependence exp(−iωt), SI units, axis at sample n//2."""

from optics.wave._aberration import aberration as aberration
from optics.wave._angular_spectrum import angular_spectrum as angular_spectrum
from optics.wave._angular_spectrum import transfer_function as transfer_function
from optics.wave._apertures import aperture as aperture
from optics.wave._apertures import pixels as pixels
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
from optics.wave._sampling import SamplingWarning as SamplingWarning
from optics.wave._sampling import critical_distance as critical_distance
from optics.wave._zernike import noll as noll
from optics.wave._zernike import zernike as zernike
from optics.wave._zernike import zernike_xy as zernike_xy
from optics.wave._zoom import zoom as zoom
