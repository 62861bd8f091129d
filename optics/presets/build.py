"""How the fields of a preset become a device: one function a kind."""

from typing import Any

import equinox as eqx

from optics import effects
from optics.calibration import equalize
from optics.detect import Coherent
from optics.device import FourierProcessor
from optics.transfer import FourierLens, compile_transfer, dft, pixel_shape


def ideal(level: str, pixels: Any) -> FourierProcessor:
    """The exact transform; the three levels are one."""
    return FourierProcessor(dft(pixel_shape(pixels, "pixels")))


def engine(
    level: str, pixels: int, wavelength: Any, pitch: Any, fill: Any, pupil: Any, dac_bits: int, adc_bits: int, photons: Any, read: Any
) -> FourierProcessor:
    """Complex emitters, a lens matched to the pitch, coherent receivers."""
    converters = {"slm": (effects.Quantize(dac_bits, signed=True),)}
    camera = (effects.BalancedShot(photons), effects.Read(read), effects.Saturate(), effects.Quantize(adc_bits, signed=True))
    if level == "ideal":
        return FourierProcessor(dft(pixels), Coherent(), camera=camera, **converters)
    lens = FourierLens(pixels, pitch, wavelength, fill=fill, detector_fill=fill, pupil_radius=pupil * pixels * pitch)
    # Calibrated without converters and noise, as long averaging would: the gains are the optics' own.
    bare = equalize(FourierProcessor(compile_transfer(lens), Coherent()))
    device = FourierProcessor(bare.optics, Coherent(), camera=camera, pre=bare.pre, post=bare.post, **converters)
    return device if level == "compiled" else eqx.tree_at(lambda d: d.optics, device, lens)


BUILDERS = {"ideal": ideal, "engine": engine}
