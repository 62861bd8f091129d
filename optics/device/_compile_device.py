"""A device whose lenses are compiled."""

import jax

from optics._check import as_path, check_instance, check_whole
from optics._typing import CountLike, DeviceLike, PathLike
from optics.device._device import AbstractDevice
from optics.transfer import CrossedLenses, FourierLens, Modal, compile_crossed, compile_transfer


def compile_device(
    device: DeviceLike, terms: CountLike | None = None, folder: PathLike | None = None
) -> AbstractDevice:
    """Compile every lens of a device; what is compiled already stays.

    Arguments:
        device: with a `FourierLens` or several, or with `CrossedLenses`.
        terms: of the sum that stands for a lens, needed under jit for more than 16 pixels a side.
        folder: of compiled transfers, as `compile_transfer` takes it; `Bilinear` ones are not kept.

    Returns:
        the device with `Dense`, `MaskedFFT`, `Separable` or `Propagation` in the place of each lens, or with
            `Bilinear`.

    Raises:
        ValueError: no device, `terms` below 1, or a `folder` that `compile_transfer` refuses.

    Example:
        >>> import optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> print(type(optics.compile_device(optics.FourierProcessor(lens)).transfer).__name__)
        Dense
    """

    check_instance("device", device, AbstractDevice, "`optics.presets.load(name)`")
    if terms is not None:
        check_whole("terms", terms, 1)
    folder = None if folder is None else as_path("folder", folder)

    def compile_part(part):
        if isinstance(part, CrossedLenses):
            return compile_crossed(part)
        is_lens = isinstance(part.transfer if isinstance(part, Modal) else part, FourierLens)
        return compile_transfer(part, terms, folder=folder) if is_lens else part

    return jax.tree.map(
        compile_part, device, is_leaf=lambda part: isinstance(part, FourierLens | CrossedLenses | Modal)
    )
