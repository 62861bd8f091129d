"""The convolution and the transform, on a device or exact: where array indices meet the optical axis."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from optics._check import as_plane, check_flag, check_key, check_shape, describe
from optics._program import as_one_program
from optics._typing import ArrayLike, DeviceLike, FlagLike, KeyLike
from optics.device import AbstractDevice


def convolve(
    x: ArrayLike, w: ArrayLike, device: DeviceLike = None, key: KeyLike = None
) -> Inexact[Array, "*lead rows cols"]:
    """Circular convolution over the last two axes, computed by a device or exactly.

        y[i] = Σ_u w[u] x[i − u mod n] = F⁻¹[ F x · F w ]

    Arguments:
        x, w: shapes (..., rows, columns), real or complex, any units; leading axes broadcast as in x * w.
        device: any device that convolves; None is the exact FFT.
        key: `jax.random.key` of the device's noise, consumed; None computes without noise.

    Returns:
        shape of x * w, in the product of the units; real when both are. Without planes, such as (0, 11, 11),
        the result has none either.

    Raises:
        ValueError: fewer than two axes, planes of different shape or of another shape than the device's,
            leading axes that do not broadcast, no device, or a bad key.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> x = jnp.arange(1.0, 5.0)[None]
        >>> optics.convolve(x, jnp.array([[0.0, 1, 0, 0]])).round().tolist()
        [[4.0, 1.0, 2.0, 3.0]]
    """
    x, w = as_plane("x", x), as_plane("w", w)
    if x.shape[-2:] != w.shape[-2:]:
        raise ValueError(
            f"`x` and `w` must agree in their last two axes, got {x.shape} and {w.shape}; "
            "pad the smaller one with zeros around its origin."
        )
    try:
        jnp.broadcast_shapes(x.shape, w.shape)
    except ValueError:
        raise ValueError(
            f"`x` and `w` must broadcast in their leading axes, got {x.shape} and {w.shape}."
        ) from None
    check_key("key", key)
    if device is not None:
        check_device(device)
        check_shape("x", x, device)
    if not x.size or not w.size:
        return jnp.zeros(jnp.broadcast_shapes(x.shape, w.shape), jnp.result_type(x, w))
    if device is None:
        return _convolve_exact(x, w)
    return _convolve_on_device(x, w, device, key)


def transform(
    a: ArrayLike, device: DeviceLike = None, key: KeyLike = None, *, real: FlagLike = False
) -> Inexact[Array, "*lead rows cols"]:
    """Fourier transform over the last two axes, unitary, in the order of `jnp.fft.fft2(a, norm="ortho")`.

        F a[m] = 1/√(rows·columns) Σ_n exp(−2πi (m_y n_y / rows + m_x n_x / columns)) a[n]

    Arguments:
        a: shape (..., rows, columns), real or complex, any unit.
        device: a device with a transform of its own, such as `FourierProcessor`; None is the exact FFT.
        key: of the device's noise, consumed; None computes without noise.
        real: detect and return the real part only, for results that are known to be real.

    Returns:
        complex unless `real`, same shape and unit.

    Raises:
        ValueError: fewer than two axes, another shape than the device's, no device, or one that only
            convolves, a bad key, or a `real` that is neither True nor False.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> spectrum = optics.transform(jnp.ones((2, 2)), optics.presets.load("ideal", pixels=2), real=True)
        >>> spectrum[0, 0].round().item()
        2.0
    """
    a = as_plane("a", a)
    check_flag("real", real)
    check_key("key", key)
    if device is not None:
        check_device(device)
        check_shape("a", a, device)
    if not a.size:
        return jnp.zeros(a.shape, a.real.dtype if real else jnp.result_type(a, jnp.complex64))
    if device is None:
        exact = jnp.fft.fft2(a, norm="ortho")
        return exact.real if real else exact
    return _transform_on_device(a, device, key, bool(real))


def check_device(device: DeviceLike) -> None:
    """Refuse anything that is not a device, such as the name of a preset."""
    if not isinstance(device, AbstractDevice):
        raise ValueError(
            f"`device` must be None or a device, such as `optics.presets.load(name)`; got {describe(device)}."
        )


@as_one_program
def _convolve_on_device(x: Array, w: Array, device: AbstractDevice, key: KeyLike) -> Array:
    # A lens has its origin in the middle of the plane, an array at index 0. If w's origin is moved there, the
    # result lies as x does.
    centre = tuple(n // 2 for n in w.shape[-2:])
    return device.convolve(x, jnp.roll(w, centre, axis=(-2, -1)), key)


@as_one_program
def _transform_on_device(a: Array, device: AbstractDevice, key: KeyLike, real: bool) -> Array:
    axes = (-2, -1)
    return jnp.fft.ifftshift(device.transform(jnp.fft.fftshift(a, axes), key, real), axes)


def _convolve_exact(x: Array, w: Array) -> Array:
    if jnp.iscomplexobj(x) or jnp.iscomplexobj(w):
        return jnp.fft.ifft2(jnp.fft.fft2(x) * jnp.fft.fft2(w))
    return jnp.fft.irfft2(jnp.fft.rfft2(x) * jnp.fft.rfft2(w), s=x.shape[-2:])
