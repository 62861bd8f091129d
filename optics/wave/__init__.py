"""Scalar diffraction on a sampled plane: time dependence exp(−iωt), SI units, axis at sample n//2."""

from optics.wave.band_limited import band_limited_angular_spectrum as band_limited_angular_spectrum
from optics.wave.chirp_z import zoom as zoom
from optics.wave.disc import noll as noll
from optics.wave.disc import zernike as zernike
from optics.wave.disc import zernike_xy as zernike_xy
from optics.wave.elements import aperture as aperture
from optics.wave.elements import pixels as pixels
from optics.wave.elements import rectangle as rectangle
from optics.wave.far_field import focus as focus
from optics.wave.far_field import fraunhofer as fraunhofer
from optics.wave.far_field import fraunhofer_spacing as fraunhofer_spacing
from optics.wave.illumination import gaussian as gaussian
from optics.wave.illumination import tilt as tilt
from optics.wave.lenses import aspheric_lens as aspheric_lens
from optics.wave.lenses import cylindrical_lens as cylindrical_lens
from optics.wave.lenses import defocus as defocus
from optics.wave.lenses import lens as lens
from optics.wave.lenses import spherical_lens as spherical_lens
from optics.wave.paraxial import fresnel as fresnel
from optics.wave.paraxial import fresnel_impulse_response as fresnel_impulse_response
from optics.wave.propagation import angular_spectrum as angular_spectrum
from optics.wave.propagation import transfer_function as transfer_function
from optics.wave.sampling import SamplingWarning as SamplingWarning
from optics.wave.sampling import critical_distance as critical_distance
from optics.wave.wavefront import aberration as aberration
