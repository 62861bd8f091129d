"""Records of a laboratory: camera frames and lookup tables, from files to arrays that a device understands.

| file | read by | gives |
| --- | --- | --- |
| TIFF, HDF5, `.npy` or a folder of numbered pictures | `read_frames` | frames in units of full scale |
| a text file of levels and phases | `read_table` | the `effects.PhaseLUT` of a panel or of its driver |

Counts in memory become frames by `as_frames`; `check_frames` refuses frames that are dark, saturated or not
finite. The libraries that read pictures and HDF5 come with the extra `lab`.
"""

from optics.records._frames import as_frames as as_frames
from optics.records._frames import check_frames as check_frames
from optics.records._readers import read_frames as read_frames
from optics.records._tables import read_table as read_table
from optics.records._zernikes import read_zernikes as read_zernikes
