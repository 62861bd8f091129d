"""Simulation of optical hardware that computes Fourier transforms and convolutions, differentiable.

    y = optics.convolve(x, w, device, key)      circular convolution of the last two axes
    u = optics.transform(a, device, key)        one optical Fourier transform, unitary
    c = optics.matmul(a, b, device, key)        product of matrices of any size

A device is an argument of every call: None computes exactly, `optics.presets.load(name)` is a named device,
and you can build one from the parts below. `key` draws its noise; None computes without noise. The numbers
of a device are leaves of a pytree: `jax.grad` is a sensitivity, `jax.vmap` a sweep.

| room | content |
| --- | --- |
| `optics.wave` | propagators, lenses, apertures, Zernike aberrations and beams on a sampled plane |
| `optics.light`, `optics.glass` | line widths, sources of finite size, coherence; refractive indices |
| `optics.polarisation` | Jones matrices of polarisers, wave plates and liquid crystals; Stokes parameters |
| `optics.transfer` | `FourierLens`, a 2f system; `compile_transfer` makes `Dense` or `MaskedFFT` of it |
| `optics.encode` | numbers to the drive of a modulator: amplitude and phase, double phase, mirrors |
| `optics.effects` | noise, converters, crosstalk, drift; `effects.camera` from a data sheet |
| `optics.detect` | light to frames to a complex field: `Coherent`, `PhaseShifting`, `OffAxis` |
| `optics.retrieve` | phase retrieval from intensities |
| `optics.device` | `FourierProcessor`, `Correlator`, `JointTransform`, `External`; multipliers of matrices |
| `optics.mapping` | arrays of any size on a device; `conv_general_dilated`, `dot_general` |
| `optics.presets` | named devices, every number with its source |
| `optics.twin`, `optics.records` | a model fitted to recorded frames; files of frames and tables |
| `optics.aging` | devices that drift between calibrations |
| `optics.accounting` | exposures, seconds and joules, counted in the traced program |
| `optics.metrics` | relative error, best common factor, effective bits |

Light is one plane wave unless a lens is in other light: `illuminate(lens, light)` takes a `light.Light` and
gives a `Modal`, which stands where a lens does. Frames of modes that do not interfere add up.

Beside them: `calibrate` sets the gains of a device, `compensate` corrects hardware with a fitted twin,
`subtract_background` measures unmodulated light, `refine_pattern` corrects a drive by what the camera sees,
`ideal_gradient` and `optical_gradient` are rules of differentiation, and `ledger` is the cost of a
convolution.

Hardware from data sheets
-------------------------

A panel with 8 µm pixels and 8 bits, a camera with a full well of 10,000 electrons, 2.5 electrons of read
noise and 12 bits, a laser at 633 nm, a lens with f = 200 mm. N numbers a side match the lens if
N · pitch² = λ f: with 10×10 panel pixels for each number the pitch is 80 µm and N = 20. The pixels of a
number together set its amplitude and phase; `encode.DoublePhase` models how a phase panel does that.

```python
import jax, jax.numpy as jnp, optics
from optics import effects, metrics

lens = optics.FourierLens(
    20, pitch=80e-6, wavelength=633e-9, fill=0.9, detector_fill=0.9, oversampling=4, pupil_radius=3e-3
)
print(lens.focal_length)  # 0.202 m, 1 % from the lens
transfer = optics.compile_transfer(lens)
parts = dict(
    measurement=optics.PhaseShifting(4),
    slm=(effects.PhaseQuantize(8),),
    camera=effects.camera(full_well=10_000, read_noise=2.5, bits=12),
)

# One panel and one lens: three transforms, and the product of the spectra in electronics.
engine = optics.calibrate(optics.FourierProcessor(transfer, **parts))
# Two panels and two lenses: one exposure. A correlator takes the gains of one lens.
gains = dict(input_gain=engine.input_gain, output_gain=engine.output_gain)
correlator = optics.Correlator(transfer, **parts, **gains)

x, w = jax.random.uniform(jax.random.key(0), (20, 20)), jnp.zeros((20, 20)).at[:3, :3].set(1 / 9)
exact = optics.convolve(x, w)
for device in (engine, correlator):
    draw, mean = (optics.convolve(x, w, device, key) for key in (jax.random.key(1), None))
    print(f"{metrics.relative_error(draw, exact):.3f} {metrics.relative_error(mean, exact):.3f}")
```

The engine has an error of 8 % with one draw of the noise, the correlator 15 %, and both 0.3 % without noise.
Without gains the error of the correlator is 61 %. Full scale is a bound on the brightest possible field, and
the light here reaches a small share of it, so few electrons carry the result. The mean of n draws has √n
times less noise.
"""

from optics import _known_faults
from optics import accounting as accounting
from optics import aging as aging
from optics import effects as effects
from optics import encode as encode
from optics import glass as glass
from optics import light as light
from optics import mapping as mapping
from optics import metrics as metrics
from optics import polarisation as polarisation
from optics import presets as presets
from optics import records as records
from optics import retrieve as retrieve
from optics import twin as twin
from optics import wave as wave
from optics.accounting import ledger as ledger
from optics.calibration import calibrate as calibrate
from optics.calibration import compensate as compensate
from optics.calibration import subtract_background as subtract_background
from optics.convolution import convolve as convolve
from optics.convolution import transform as transform
from optics.detect import AbstractMeasurement as AbstractMeasurement
from optics.detect import Balanced as Balanced
from optics.detect import Coherent as Coherent
from optics.detect import Intensity as Intensity
from optics.detect import OffAxis as OffAxis
from optics.detect import Offset as Offset
from optics.detect import PhaseDiversity as PhaseDiversity
from optics.detect import PhaseShifting as PhaseShifting
from optics.device import AbstractDevice as AbstractDevice
from optics.device import Averaged as Averaged
from optics.device import CirculantMultiplier as CirculantMultiplier
from optics.device import Correlator as Correlator
from optics.device import Devices as Devices
from optics.device import Exposure as Exposure
from optics.device import External as External
from optics.device import FourierProcessor as FourierProcessor
from optics.device import IncoherentCorrelator as IncoherentCorrelator
from optics.device import JointTransform as JointTransform
from optics.device import MatrixMatrixMultiplier as MatrixMatrixMultiplier
from optics.device import VectorMatrixMultiplier as VectorMatrixMultiplier
from optics.device import WavelengthChannels as WavelengthChannels
from optics.device import compile_device as compile_device
from optics.expectation import expected as expected
from optics.gradients import ideal_gradient as ideal_gradient
from optics.gradients import optical_gradient as optical_gradient
from optics.mapping import conv_general_dilated as conv_general_dilated
from optics.mapping import dot_general as dot_general
from optics.products import matmul as matmul
from optics.refinement import RefinedPattern as RefinedPattern
from optics.refinement import refine_pattern as refine_pattern
from optics.transfer import AbstractTransfer as AbstractTransfer
from optics.transfer import Bilinear as Bilinear
from optics.transfer import CrossedLenses as CrossedLenses
from optics.transfer import Dense as Dense
from optics.transfer import ExactProduct as ExactProduct
from optics.transfer import FourierLens as FourierLens
from optics.transfer import MaskedFFT as MaskedFFT
from optics.transfer import Modal as Modal
from optics.transfer import Propagation as Propagation
from optics.transfer import Separable as Separable
from optics.transfer import compile_crossed as compile_crossed
from optics.transfer import compile_transfer as compile_transfer
from optics.transfer import dft as dft
from optics.transfer import illuminate as illuminate
from optics.transfer import reduce_modes as reduce_modes
from optics.transfer import share_plane as share_plane
from optics.twin import Recording as Recording
from optics.twin import fit_twin as fit_twin

_known_faults.warn_of_hanging_transforms()
