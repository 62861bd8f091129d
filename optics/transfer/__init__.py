"""The linear map from modulator pixels to detector pixels: described, then compiled.

`FourierLens` describes a 2f system and propagates light through it in full, a plane of many samples for every
call. `compile_transfer(lens)` runs those wave optics once and keeps the map between pixels, which every later
call applies:

| pixels a side | compiled to | a call costs |
| --- | --- | --- |
| up to 16, or a line | `Dense`, a full matrix, exact | N⁴ products (N² on a line) |
| above 16, panels | `MaskedFFT`, a short sum of FFTs between masks | an FFT a term |
| the same, a pupil cuts light | `Propagation`, the wave optics, factors kept | two FFTs of 20 N² samples |
| above 16, all orders | `Separable`, a short sum of row ⊗ column products | 2 N³ products a term |
| any, without errors | `dft(shape)`: up to 512 in all `Dense`, else `MaskedFFT` | N⁴ products, or an FFT |

`illuminate(lens, light)` describes a lens in light of several wavelengths or directions, a `Modal` of one
transfer for each mode; `compile_transfer` compiles it, and `reduce_modes` finds fewer that do the same.

`CrossedLenses` describes cylindrical lenses between two modulators and a detector, which multiply the
matrices on them; `compile_crossed` makes `Bilinear` of it, and `ExactProduct` is without errors.

`share_plane(device, mesh)` divides the planes of a device between several JAX devices, by rows.

`compile_transfer(lens, folder=path)` keeps what it compiles on disk, and reads it the next time. The sums
tell their truncation `residual`. All are an `AbstractTransfer`: `shape`, `subpixels`, `peak`, and
a call with light that gives the field. A device takes any of them as its `transfer`. Numbers of a
`FourierLens` are leaves, and compilation is an ordinary differentiable function.
"""

from optics.transfer._bilinear import AbstractBilinear as AbstractBilinear
from optics.transfer._bilinear import Bilinear as Bilinear
from optics.transfer._bilinear import ExactProduct as ExactProduct
from optics.transfer._bilinear import rank_one_gains as rank_one_gains
from optics.transfer._compile import compile_transfer as compile_transfer
from optics.transfer._compile_crossed import compile_crossed as compile_crossed
from optics.transfer._crossed_lenses import CrossedLenses as CrossedLenses
from optics.transfer._dense import Dense as Dense
from optics.transfer._dft import dft as dft
from optics.transfer._fourier_lens import FourierLens as FourierLens
from optics.transfer._illuminate import illuminate as illuminate
from optics.transfer._masked_fft import MaskedFFT as MaskedFFT
from optics.transfer._masked_fft import fourier_transform as fourier_transform
from optics.transfer._modal import Modal as Modal
from optics.transfer._modal import without_phases as without_phases
from optics.transfer._propagation import Propagation as Propagation
from optics.transfer._propagation import keep_propagation as keep_propagation
from optics.transfer._reduce_modes import reduce_modes as reduce_modes
from optics.transfer._relay import Relay as Relay
from optics.transfer._separable import Separable as Separable
from optics.transfer._shared_plane import share_plane as share_plane
from optics.transfer._transfer import AbstractTransfer as AbstractTransfer
from optics.transfer._transfer import light_shape as light_shape
