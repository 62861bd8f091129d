"""Numbers -> light: how an array becomes amplitudes of modulator pixels, and how the exposures become its transform."""

from optics.encode._amplitude import Amplitude as Amplitude
from optics.encode._bit_planes import BitPlanes as BitPlanes
from optics.encode._bit_planes import bit_planes as bit_planes
from optics.encode._blazed import Blazed as Blazed
from optics.encode._complex_amplitude import ComplexAmplitude as ComplexAmplitude
from optics.encode._complex_amplitude import complex_amplitude as complex_amplitude
from optics.encode._double_phase import DoublePhase as DoublePhase
from optics.encode._encoder import Encoder as Encoder
from optics.encode._superpixel import Superpixel as Superpixel
