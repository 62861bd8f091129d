"""What a computation costs on a device: exposures, conversions, seconds, joules, bits, and what electronics would need."""

from optics.accounting.bill import Ledger as Ledger
from optics.accounting.bill import effective_bits as effective_bits
from optics.accounting.bill import ledger as ledger
from optics.accounting.bill import price as price
from optics.accounting.break_even import break_even_pixels as break_even_pixels
from optics.accounting.break_even import break_even_taps as break_even_taps
from optics.accounting.break_even import fft_flops as fft_flops
from optics.accounting.counting import Counts as Counts
from optics.accounting.counting import count as count
from optics.accounting.figures import Figure as Figure
from optics.accounting.figures import converters as converters
from optics.accounting.figures import electronics as electronics
from optics.accounting.figures import hardware as hardware
from optics.accounting.figures import hardware_names as hardware_names
