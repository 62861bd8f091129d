"""Scalar diffraction on a sampled plane: time dependence exp(−iωt), SI units, axis at sample n//2."""

from optics.wave.elements import aperture as aperture
from optics.wave.elements import lens as lens
from optics.wave.elements import pixels as pixels
from optics.wave.propagation import angular_spectrum as angular_spectrum
from optics.wave.propagation import transfer_function as transfer_function
