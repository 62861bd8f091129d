"""Light."""

from optics.light._light import Light as Light
from optics.light._light import product as product
from optics.light._spectra import laser as laser
