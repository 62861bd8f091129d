"""The optics, described (`FourierLens`) and compiled to a linear map (`Dense`, `Separable`)."""

from optics.transfer._compile import compile_transfer as compile_transfer
from optics.transfer._dense import Dense as Dense
from optics.transfer._dense import dft as dft
from optics.transfer._dense import light_shape as light_shape
from optics.transfer._dense import pixel_shape as pixel_shape
from optics.transfer._fourier_lens import FourierLens as FourierLens
from optics.transfer._separable import Separable as Separable
