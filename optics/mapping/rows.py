"""Many short sequences in one frame: the rows of a device."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Array, Inexact

from optics.convolution import convolve
from optics.mapping.boundary import check
from optics.mapping.line import line
from optics.mapping.packed import Packing, convolve_packed, plan_packed


def convolve_rows(
    x: Any, w: Any, device: Any = None, key: Array | None = None, *, boundary: str = "circular", convolve: Any = convolve
) -> Inexact[Array, "*lead length"]:
    """Convolution of many short sequences, one or more in each row of a frame.

        y[i] = Σ_u w[u] x[i − u]

    A kernel in row 0 of a plane of zeros convolves every row with itself alone: the plane's circular convolution in the
    other direction is with a delta. So a device of R rows has at least R sequences in a frame, without a guard between the
    rows, and where a row has as many pixels as a sequence, a circular convolution has none within the row either. Sequences
    share a frame along those leading axes along which w does not vary.

    Arguments:
        x, w: shapes (..., length), of the sequences and of their kernels, real or complex, any units; leading axes broadcast
            as in x * w.
        device: `FourierProcessor` and its like; None is the exact convolution.
        key: `jax.random.key` of the device's noise, consumed; every frame has its own. None gives the expected value.
        boundary: "circular", "negacyclic", "full", "same" or "valid", as in `convolve_tiled`.
        convolve: what convolves planes of the device's shape, such as `optics.ideal_gradient(optics.convolve)`.

    Returns:
        shape by `boundary`, in the product of the units; real when both are.

    Raises:
        ValueError: no axis, empty arrays, leading axes that do not broadcast, an unknown boundary, sequences that do not fit in
            a row (`convolve_1d` takes those), or what is no device.
    """
    x, w = line("x", x), line("w", w)
    return convolve_packed(x[..., None, :], w[..., None, :], device, key, boundary=boundary, convolve=convolve)[..., 0, :]


def plan_rows(x_shape: Sequence[int], w_shape: Sequence[int], shape: Sequence[int], boundary: str = "circular") -> Packing:
    """The packing of `convolve_rows`, for arrays of these shapes (..., length) on a device of `shape` pixels.

    Raises:
        ValueError: as `convolve_rows`.
    """
    check(x_shape, w_shape, boundary, 1)
    *x_lead, x_length = x_shape
    *w_lead, w_length = w_shape
    return plan_packed((*x_lead, 1, x_length), (*w_lead, 1, w_length), shape, boundary)
