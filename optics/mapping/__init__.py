"""Arrays that are not the size of the device: tiles, many planes a frame, sequences on planes, bit slices, other boundaries."""

from optics.mapping._bit_slices import bit_slices as bit_slices
from optics.mapping._bit_slices import convolve_sliced as convolve_sliced
from optics.mapping._bit_slices import plan_sliced as plan_sliced
from optics.mapping._conv_general import conv_general_dilated as conv_general_dilated
from optics.mapping._coprime import convolve_coprime as convolve_coprime
from optics.mapping._coprime import plan_coprime as plan_coprime
from optics.mapping._negacyclic import convolve_negacyclic as convolve_negacyclic
from optics.mapping._packing import Packing as Packing
from optics.mapping._packing import convolve_packed as convolve_packed
from optics.mapping._packing import convolve_rows as convolve_rows
from optics.mapping._packing import plan_packed as plan_packed
from optics.mapping._packing import plan_rows as plan_rows
from optics.mapping._plan import Plan as Plan
from optics.mapping._sequences import Folding as Folding
from optics.mapping._sequences import convolve_1d as convolve_1d
from optics.mapping._sequences import plan_1d as plan_1d
from optics.mapping._tiles import Tiling as Tiling
from optics.mapping._tiles import convolve_tiled as convolve_tiled
from optics.mapping._tiles import plan_tiles as plan_tiles
