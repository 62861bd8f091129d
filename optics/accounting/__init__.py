"""What a computation costs on a device: exposures, conversions, seconds, joules, bits, and what electronics would need."""

from optics.accounting._assumptions import Figure as Figure
from optics.accounting._assumptions import converters as converters
from optics.accounting._assumptions import electronics as electronics
from optics.accounting._assumptions import hardware as hardware
from optics.accounting._assumptions import hardware_names as hardware_names
from optics.accounting._break_even import break_even_pixels as break_even_pixels
from optics.accounting._break_even import break_even_taps as break_even_taps
from optics.accounting._break_even import fft_flops as fft_flops
from optics.accounting._counts import Counts as Counts
from optics.accounting._counts import count as count
from optics.accounting._ledger import Ledger as Ledger
from optics.accounting._ledger import effective_bits as effective_bits
from optics.accounting._ledger import ledger as ledger
from optics.accounting._ledger import price as price
