"""The optics, described (`FourierLens`) and compiled to a linear map (`Dense`, `Separable`)."""

from optics.transfer.compiled import compile_transfer as compile_transfer
from optics.transfer.dense import Dense as Dense
from optics.transfer.dense import dft as dft
from optics.transfer.dense import light_shape as light_shape
from optics.transfer.dense import pixel_shape as pixel_shape
from optics.transfer.fourier_lens import FourierLens as FourierLens
from optics.transfer.separable import Separable as Separable
