"""Numbers -> light: how an array becomes amplitudes of modulator pixels, and how the exposures become its transform."""

from optics.encode.amplitude import Amplitude as Amplitude
from optics.encode.binary import BitPlanes as BitPlanes
from optics.encode.binary import bit_planes as bit_planes
from optics.encode.blazed import Blazed as Blazed
from optics.encode.direct import ComplexAmplitude as ComplexAmplitude
from optics.encode.direct import complex_amplitude as complex_amplitude
from optics.encode.double import DoublePhase as DoublePhase
from optics.encode.encoder import Encoder as Encoder
from optics.encode.mirrors import Superpixel as Superpixel
