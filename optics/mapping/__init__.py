"""Arrays of any size on a device of a fixed size.

A device convolves planes of its own shape, circularly. The functions of this package bring other arrays to
it. The last column counts the convolutions of one input with one kernel, on a device of R rows and C columns:

| my array is | call | convolutions on the device |
| --- | --- | --- |
| a plane of R × C pixels | `optics.convolve` | 1 |
| a plane of M × N pixels, kernel of K × L taps | `convolve_tiled` | about M N / ((R − K + 1) (C − L + 1)) |
| many planes smaller than the device | `convolve_packed` | planes / cells, ⌊R / pitch⌋ · ⌊C / pitch⌋ cells |
| many lines shorter than a row | `convolve_rows` | lines / R, or fewer |
| a line of N samples, kernel of K taps | `convolve_1d` | about N / (R (C − K + 1)), or fewer |
| such lines, summed over channels, on an engine | `convolve_partitioned` | one transform back for each sum |
| a line of R · C samples, R and C coprime | `convolve_coprime` | 1 |
| a plane of R × C whose sign changes at each wrap | `convolve_negacyclic` | 1, of complex numbers |
| a plane of R × C with more bits than the modulator | `convolve_sliced` | slices² |
| arguments of `jax.lax.conv_general_dilated` | `conv_general_dilated` | as in tiles, by pair of channels |
| arguments of `jax.lax.dot_general` | `dot_general` | none: matrices, in tiles (`optics.matmul`) |

Products of matrices of any size are `optics.matmul`; `SlicedMultiplier` gives them more bits than the
modulators have.

A kernel with more taps than fit is split into blocks, and every tile meets every block.

A correlator takes an exposure for each convolution. A Fourier engine transforms each input and each kernel
once and each product back, so `convolve_sliced` takes only `slices` times as many transforms there. For every
mapping a function `plan_...` returns both numbers before anything runs: `plan.products` and
`plan.transforms`. How many exposures and frames a device needs for one transform depends on its encoder and
its detector; `optics.ledger` counts them.

`boundary` is "full", "same", "valid", "circular" or "negacyclic", explained in `convolve_tiled`.

A new mapping is a file of this package. It has `convolve_NAME(x, w, device, key, ...)`, and
`plan_NAME(x_shape, w_shape, shape)` that returns a `Plan`; the names are exported here.
"""

from optics.mapping._bit_slices import bit_slices as bit_slices
from optics.mapping._bit_slices import convolve_sliced as convolve_sliced
from optics.mapping._bit_slices import plan_sliced as plan_sliced
from optics.mapping._conv_general import conv_general_dilated as conv_general_dilated
from optics.mapping._coprime import convolve_coprime as convolve_coprime
from optics.mapping._coprime import plan_coprime as plan_coprime
from optics.mapping._dot_general import dot_general as dot_general
from optics.mapping._negacyclic import convolve_negacyclic as convolve_negacyclic
from optics.mapping._packing import Packing as Packing
from optics.mapping._packing import convolve_packed as convolve_packed
from optics.mapping._packing import convolve_rows as convolve_rows
from optics.mapping._packing import plan_packed as plan_packed
from optics.mapping._packing import plan_rows as plan_rows
from optics.mapping._partitioned import Partition as Partition
from optics.mapping._partitioned import convolve_partitioned as convolve_partitioned
from optics.mapping._partitioned import plan_partitioned as plan_partitioned
from optics.mapping._plan import Plan as Plan
from optics.mapping._sequences import Folding as Folding
from optics.mapping._sequences import convolve_1d as convolve_1d
from optics.mapping._sequences import plan_1d as plan_1d
from optics.mapping._sliced_products import SlicedMultiplier as SlicedMultiplier
from optics.mapping._tiles import Tiling as Tiling
from optics.mapping._tiles import convolve_tiled as convolve_tiled
from optics.mapping._tiles import plan_tiles as plan_tiles
