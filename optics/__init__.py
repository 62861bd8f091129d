"""Physics-level simulation of optical Fourier hardware, with a differentiable convolution on top."""

from optics import effects as effects
from optics import encode as encode
from optics import mapping as mapping
from optics import presets as presets
from optics import wave as wave
from optics.calibration import equalize as equalize
from optics.convolution import convolve as convolve
from optics.convolution import transform as transform
from optics.detect import Balanced as Balanced
from optics.detect import Coherent as Coherent
from optics.detect import Intensity as Intensity
from optics.detect import OffAxis as OffAxis
from optics.detect import Offset as Offset
from optics.detect import PhaseShifting as PhaseShifting
from optics.device import FourierProcessor as FourierProcessor
from optics.gradients import ideal_gradient as ideal_gradient
from optics.transfer import Dense as Dense
from optics.transfer import FourierLens as FourierLens
from optics.transfer import compile_transfer as compile_transfer
from optics.transfer import dft as dft
