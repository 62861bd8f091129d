"""The cost of a computation on a device: exposures, conversions, seconds, joules, bits, and those of
electronics.

| question | answer |
| --- | --- |
| what does a convolution cost? | `ledger(device, x_shape, w_shape, costs)` |
| what does a network or a training step cost? | `count(call, device)`, then `price(counts, costs)` |
| what with other bits, in other light? | `energy(counts, costs, adc_bits=...)`, `mean_light(device)` |
| what does an exposure or a conversion cost? | `hardware(name)`, `converters()`, `electronics()` |
| from which size on is it cheaper? | `break_even_pixels`, `break_even_taps`, `fft_flops` |

Every cost is an `Assumption`: a value with its range, unit and source, in a data file beside this one. A new
kind of hardware is one file in `hardware/` with the same entries as the others.
"""

from optics._assumptions import Assumption as Assumption
from optics.accounting._break_even import break_even_pixels as break_even_pixels
from optics.accounting._break_even import break_even_taps as break_even_taps
from optics.accounting._break_even import fft_flops as fft_flops
from optics.accounting._costs import converters as converters
from optics.accounting._costs import electronics as electronics
from optics.accounting._costs import hardware as hardware
from optics.accounting._costs import hardware_names as hardware_names
from optics.accounting._counts import Counts as Counts
from optics.accounting._counts import count as count
from optics.accounting._energy import energy as energy
from optics.accounting._energy import mean_light as mean_light
from optics.accounting._ledger import Ledger as Ledger
from optics.accounting._ledger import ledger as ledger
from optics.accounting._ledger import price as price
