"""The product of matrices of any size, on a device or exact."""

import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Inexact

from optics._check import as_floats, check_key
from optics._chunks import map_in_chunks
from optics._program import as_one_program
from optics._typing import ArrayLike, DeviceLike, KeyLike
from optics.convolution import check_device
from optics.device import AbstractDevice, check_matrices, pad_matrix


def matmul(
    a: ArrayLike, b: ArrayLike, device: DeviceLike = None, key: KeyLike = None
) -> Inexact[Array, "*lead m n"]:
    """Product of matrices of any size, computed by a device or exactly.

        y[i, j] = Σ_l a[i, l] b[l, j]

    Matrices larger than the device are divided into tiles of equal size, and tiles that differ in l alone are
    summed in electronics. Rows of all examples that share b are rows of one matrix, as columns are that share
    a, so that they fill the device.

    Arguments:
        a, b: shapes (..., m, k) and (..., k, n), real or complex, any units; leading axes broadcast.
        device: any device that multiplies matrices; None is `jnp.matmul`.
        key: `jax.random.key` of the device's noise, consumed; None computes without noise.

    Returns:
        shape (..., m, n), in the product of the units; real when both are. A sum over no numbers (k = 0) is
        zero.

    Raises:
        ValueError: fewer than two axes, inner sizes that differ, leading axes that do not broadcast, no
            device, one that has no product of matrices, or a bad key.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> device = optics.CirculantMultiplier(optics.presets.load("ideal"))
        >>> optics.matmul(jnp.ones((2, 30)), jnp.ones((30, 40)), device).round().tolist()[1][:3]
        [30.0, 30.0, 30.0]
    """
    a, b = _as_matrices("a", a), _as_matrices("b", b)
    check_matrices(a, b)
    check_key("key", key)
    if device is not None:
        check_device(device)
        # Devices without products refuse here, by name.
        _ = device.product_shape
    if not a.size or not b.size:
        lead = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return jnp.zeros((*lead, a.shape[-2], b.shape[-1]), jnp.result_type(a, b))
    if device is None:
        return jnp.matmul(a, b)
    return _multiply_on_device(a, b, device, key)


def _as_matrices(name: str, value: ArrayLike) -> Array:
    """An array of matrices (..., rows, columns), which may be empty; integers are made floating point."""
    array = as_floats(name, value)
    if array.ndim < 2:
        vector = f"; a vector of length n is the matrix `{name}[None, :]` of shape (1, n)"
        raise ValueError(
            f"`{name}` must have at least two axes (..., rows, columns), got shape {array.shape}"
            f"{vector if array.ndim == 1 else ''}."
        )
    return array


@as_one_program
def _multiply_on_device(a: Array, b: Array, device: AbstractDevice, key: KeyLike) -> Array:
    lead = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    m, n = a.shape[-2], b.shape[-1]
    # Axes that b has not are rows of one matrix, and those that a has not are columns.
    a, b = (x.reshape((1,) * (len(lead) + 2 - x.ndim) + x.shape) for x in (a, b))
    rows = [axis for axis, count in enumerate(b.shape[:-2]) if count == 1]
    cols = [axis for axis, count in enumerate(a.shape[:-2]) if count == 1 and axis not in rows]
    pairs = [axis for axis in range(len(lead)) if axis not in (*rows, *cols)]
    own_rows, own_cols, own_pairs = ([lead[axis] for axis in axes] for axes in (rows, cols, pairs))
    inner = a.ndim - 1
    a = jnp.transpose(a, [*pairs, *cols, *rows, inner - 1, inner]).reshape(*own_pairs, -1, a.shape[-1])
    b = jnp.transpose(b, [*pairs, *rows, inner - 1, *cols, inner]).reshape(*own_pairs, b.shape[-2], -1)
    y = _multiply_tiles(a, b, device, key)
    y = y.reshape(*own_pairs, *own_rows, m, *own_cols, n)
    places = {axis: place for place, axis in enumerate([*pairs, *rows, "m", *cols, "n"])}
    return jnp.transpose(y, [*(places[axis] for axis in range(len(lead))), places["m"], places["n"]])


def _multiply_tiles(a: Array, b: Array, device: AbstractDevice, key: KeyLike) -> Array:
    """The product of one matrix with one, for each place of the leading axes, which are the same."""
    sizes = a.shape[-2], a.shape[-1], b.shape[-1]
    counts = [
        1 if largest is None else -(-size // largest)
        for size, largest in zip(sizes, device.product_shape, strict=True)
    ]
    down, inner, across = counts
    tile_rows, tile_inner, tile_cols = (-(-size // count) for size, count in zip(sizes, counts, strict=True))
    a = pad_matrix(a, down * tile_rows, inner * tile_inner).reshape(-1, down, tile_rows, inner, tile_inner)
    b = pad_matrix(b, inner * tile_inner, across * tile_cols).reshape(
        -1, inner, tile_inner, across, tile_cols
    )
    a = rearrange(a, "pair down row inner l -> (pair down) 1 inner row l")
    b = rearrange(b, "pair inner l across col -> pair across inner l col")
    pairs = b.shape[0]

    def multiply(tiles, key):
        # Each row of tiles meets the matrix of its pair.
        return jnp.sum(device.matmul(*tiles, key), axis=-3)

    elements = across * inner * max(tile_rows * tile_cols, tile_rows * tile_inner)
    if pairs == 1:
        y = map_in_chunks(lambda rows, key: multiply((rows, b), key), a, key, elements)
    else:
        a = a.reshape(pairs, down, *a.shape[1:])
        tiles = a, b[:, None]
        y = map_in_chunks(multiply, tiles, key, down * elements)
    y = y.reshape(pairs, down, across, tile_rows, tile_cols)
    y = rearrange(y, "pair down across row col -> pair (down row) (across col)")
    return y[:, : sizes[0], : sizes[2]]
