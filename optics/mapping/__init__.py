"""Arrays that are not the size of the device: tiles, many planes a frame, sequences on planes, bit slices, other boundaries."""

from optics.mapping.coprime import convolve_coprime as convolve_coprime
from optics.mapping.coprime import plan_coprime as plan_coprime
from optics.mapping.negacyclic import convolve_negacyclic as convolve_negacyclic
from optics.mapping.packed import Packing as Packing
from optics.mapping.packed import convolve_packed as convolve_packed
from optics.mapping.packed import plan_packed as plan_packed
from optics.mapping.plan import Plan as Plan
from optics.mapping.rows import convolve_rows as convolve_rows
from optics.mapping.rows import plan_rows as plan_rows
from optics.mapping.sequence import Folding as Folding
from optics.mapping.sequence import convolve_1d as convolve_1d
from optics.mapping.sequence import plan_1d as plan_1d
from optics.mapping.slices import bit_slices as bit_slices
from optics.mapping.slices import convolve_sliced as convolve_sliced
from optics.mapping.slices import plan_sliced as plan_sliced
from optics.mapping.tiled import convolve_tiled as convolve_tiled
from optics.mapping.tiling import Tiling as Tiling
from optics.mapping.tiling import plan_tiles as plan_tiles
