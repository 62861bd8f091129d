"""Every nonideality, one small class each, one type: (value, key) -> value. A tuple of them is a chain; its order is the physics."""

from optics.effects.chain import apply as apply
from optics.effects.convert import Quantize as Quantize
from optics.effects.effect import Effect as Effect
from optics.effects.noise import BalancedShot as BalancedShot
from optics.effects.noise import Noise as Noise
from optics.effects.noise import Read as Read
from optics.effects.noise import Shot as Shot
from optics.effects.response import Dark as Dark
from optics.effects.response import Gain as Gain
from optics.effects.response import Saturate as Saturate
