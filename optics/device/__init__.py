"""Devices: numbers become light, a lens transforms it, a camera sees it, and numbers come back.

| device | what it computes | how |
| --- | --- | --- |
| `FourierProcessor` | transforms and convolutions | one transform at a time, products in electronics |
| `Correlator` | convolutions | two lenses and a filter with the kernel's spectrum between them |
| `IncoherentCorrelator` | convolutions | the same lit by a diode: powers, a kernel of powers, four parts |
| `JointTransform` | convolutions | both arrays side by side, a camera between two transforms |
| `VectorMatrixMultiplier` | products of matrices | a line of sources, a modulator, a lens that adds |
| `MatrixMatrixMultiplier` | products of matrices | two modulators and cylindrical lenses, one exposure |
| `CirculantMultiplier` | products of matrices | convolutions on any of these |
| `WavelengthChannels` | transforms and convolutions | a Fourier engine with several wavelengths at once |
| `Averaged` | transforms and convolutions | a Fourier engine that repeats exposures and averages them |
| `Devices` | all that its two devices do | one that convolves, one that multiplies matrices |
| `External` | transforms and convolutions | the owner's hardware, differentiated through a simulated twin |

A `FourierProcessor` reads as five lines:

    exposure = device.prepare(a)                      numbers -> drive, full scale and scale
    light    = slm(exposure.drive)                    converters and faults of the modulator
    field    = transfer(light)                        Dense, MaskedFFT or FourierLens
    frames   = camera(measurement.frames(field))      noise, converters: device.expose(exposure, key)
    result   = device.reconstruct(frames, exposure)   field and calibrated gains

A new device is one file here, a subclass of `AbstractDevice`, and one line in `tests/parts.py`.
"""

from optics.device._averaged import Averaged as Averaged
from optics.device._circulant import CirculantMultiplier as CirculantMultiplier
from optics.device._compile_device import compile_device as compile_device
from optics.device._correlator import Correlator as Correlator
from optics.device._device import AbstractDevice as AbstractDevice
from optics.device._device import Stage as Stage
from optics.device._devices import Devices as Devices
from optics.device._exposure import Exposure as Exposure
from optics.device._exposure import modulate as modulate
from optics.device._external import External as External
from optics.device._fourier_processor import FourierProcessor as FourierProcessor
from optics.device._incoherent_correlator import IncoherentCorrelator as IncoherentCorrelator
from optics.device._joint_transform import JointTransform as JointTransform
from optics.device._matrix_matrix import MatrixMatrixMultiplier as MatrixMatrixMultiplier
from optics.device._products import ProductExposure as ProductExposure
from optics.device._products import check_matrices as check_matrices
from optics.device._products import pad_matrix as pad_matrix
from optics.device._vector_matrix import VectorMatrixMultiplier as VectorMatrixMultiplier
from optics.device._wavelength_channels import WavelengthChannels as WavelengthChannels
