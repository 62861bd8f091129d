"""A device whose lenses are compiled."""

import jax

from optics._check import check_instance, check_whole
from optics._typing import CountLike, DeviceLike
from optics.device._device import AbstractDevice
from optics.transfer import CrossedLenses, FourierLens, Modal, compile_crossed, compile_transfer


def compile_device(device: DeviceLike, terms: CountLike | None = None) -> AbstractDevice:
    """Compile every lens of a device; what is compiled already stays.

    Arguments:
        device: with a `FourierLens` or several, or with `CrossedLenses`.
        terms: of the sum that stands for a lens, needed under jit for more than 16 pixels a side.

    Returns:
        the device with `Dense`, `MaskedFFT` or `Separable` in the place of each lens, or with `Bilinear`.

    Raises:
        ValueError: no device, or `terms` below 1.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> print(type(optics.compile_device(optics.FourierProcessor(lens)).transfer).__name__)
        Dense
    """

    check_instance("device", device, AbstractDevice, "`optics.presets.load(name)`")
    if terms is not None:
        check_whole("terms", terms, 1)

    def compile_part(part):
        if isinstance(part, CrossedLenses):
            return compile_crossed(part)
        is_lens = isinstance(part.transfer if isinstance(part, Modal) else part, FourierLens)
        return compile_transfer(part, terms) if is_lens else part

    return jax.tree.map(
        compile_part, device, is_leaf=lambda part: isinstance(part, FourierLens | CrossedLenses | Modal)
    )
