"""Records of a laboratory: camera frames, lookup tables and patterns, between files and a device.

| file | read by | gives |
| --- | --- | --- |
| TIFF, HDF5, `.npy` or a folder of numbered pictures | `read_frames` | frames in units of full scale |
| levels and phases as text, Meadowlark's `.lut` | `read_table` | `effects.PhaseLUT` of a panel or driver |
| a bitmap of a panel's correction, BMP or PNG | `read_correction` | the phase to add to every pattern |
| Zernike coefficients as text, Zemax listings | `read_zernikes` | `aberrations` of a lens, in Noll's order |
| Zygo's `.dat` and `.datx` | `read_wavefront` | optical path difference, for `fit_zernikes` |
| slmsuite's `.h5` calibrations | `read_slmsuite` | a lens, a phase table, the wavefront on the panel |
| what `record_frames` kept of hardware | `read_recording`, `replay_frames` | frames; the hardware again |

| file | written by | for |
| --- | --- | --- |
| a bitmap of 8 bits, BMP | `write_bitmap` | the software of panels |
| a pattern, HDF5 | `write_phase` | slmsuite's `SLM.load_phase` |
| a calibration, HDF5 | `write_slmsuite` | slmsuite's `FourierSLM.load_calibration` |
| the numbers of a device, HDF5 | `write_device` | any program for HDF5, and `read_device` |

`panel_phase` places a pattern on a panel, and `as_levels` chooses the grey levels; `python -m bench pattern`
does so for the kernel of a trained layer, an array or a test pattern. Counts in memory become frames by
`as_frames`; `check_frames` refuses frames that are dark, saturated or not finite. The libraries that read
pictures, HDF5 and Zygo's files come with the extra `lab`.
"""

from optics.records._bitmaps import write_bitmap as write_bitmap
from optics.records._bitmaps import write_phase as write_phase
from optics.records._corrections import Correction as Correction
from optics.records._corrections import read_correction as read_correction
from optics.records._device_files import read_device as read_device
from optics.records._device_files import write_device as write_device
from optics.records._frames import as_frames as as_frames
from optics.records._frames import check_frames as check_frames
from optics.records._panel import as_levels as as_levels
from optics.records._panel import panel_phase as panel_phase
from optics.records._readers import read_frames as read_frames
from optics.records._recording import HardwareRecording as HardwareRecording
from optics.records._recording import read_recording as read_recording
from optics.records._recording import record_frames as record_frames
from optics.records._recording import replay_frames as replay_frames
from optics.records._slmsuite import SlmsuiteCalibration as SlmsuiteCalibration
from optics.records._slmsuite import read_slmsuite as read_slmsuite
from optics.records._slmsuite_files import write_slmsuite as write_slmsuite
from optics.records._tables import read_table as read_table
from optics.records._wavefronts import Wavefront as Wavefront
from optics.records._wavefronts import ZernikeFit as ZernikeFit
from optics.records._wavefronts import fit_zernikes as fit_zernikes
from optics.records._wavefronts import read_wavefront as read_wavefront
from optics.records._zernikes import read_zernikes as read_zernikes
