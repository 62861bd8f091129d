"""A plane that several devices of a machine share by its rows."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Complex, Inexact, PyTree

from optics._check import check_instance
from optics._typing import PartLike
from optics.transfer._masked_fft import MaskedFFT, move_origins

EXAMPLE = '`jax.sharding.Mesh(jax.devices(), ("rows",))`'


class SharedMaskedFFT(MaskedFFT):
    """A `MaskedFFT` whose planes several JAX devices share by their rows; `share_plane` makes one.

    Arguments:
        transfer: of one device.
        mesh: of the JAX devices, one axis.
    """

    mesh: Mesh = eqx.field(static=True)

    def __init__(self, transfer: MaskedFFT, mesh: Mesh):
        by_rows = NamedSharding(mesh, P(None, mesh.axis_names[0], None))
        self.masks_in = jax.device_put(transfer.masks_in, by_rows)
        self.masks_out = jax.device_put(transfer.masks_out, by_rows)
        self.peak, self.residual, self.subpixels = transfer.peak, transfer.residual, transfer.subpixels
        self.mesh = mesh

    def transform(
        self, light: Inexact[Array, "*lead rows cols"]
    ) -> Complex[Array, "*lead rows_out cols_out"]:
        """The Fourier transform between masks: along rows, a change of hands, along columns, and back."""
        (rows, cols), axis = self.shape, self.mesh.axis_names[0]
        before, after = move_origins(light.shape[-2:], self.shape)
        by_rows = P(*(None,) * (light.ndim - 2), axis, None)
        exchange = partial(jax.lax.all_to_all, axis_name=axis, tiled=True)

        @partial(jax.shard_map, mesh=self.mesh, in_specs=by_rows, out_specs=by_rows)
        def transform_shard(part):
            last, first = part.ndim - 1, part.ndim - 2
            part = jnp.fft.fft(part, norm="ortho")[..., :cols]
            part = exchange(part, split_axis=last, concat_axis=first)
            part = jnp.fft.fft(part, axis=-2, norm="ortho")[..., :rows, :]
            return exchange(part, split_axis=first, concat_axis=last)

        return transform_shard(light * before) * after


def share_plane(part: PartLike, mesh: PartLike) -> Any:
    """Share the planes of a device between several JAX devices, by rows.

        F[a] = F_columns[F_rows[a]]:   rows along their devices, all to all, columns along theirs, all to all

    Each JAX device holds its rows of masks and fields, 1 / devices of the memory of a plane; two exchanges of
    a plane a term are what they pass on. The results are those of one device, up to rounding. A batch of
    planes is better shared by the planes, each of which then stays whole: `jax.shard_map` over the first
    axis of x, as `nets.train --devices` does. On two virtual devices of one core a transform of 1,024×1,024
    takes 31 ms (24 ms on one device), and each holds half of the masks and of the field.

    Under `jax.jit`, put light where the rows are, `jax.device_put(x, NamedSharding(mesh, P("rows", None)))`.
    What is not a transfer (encoders, noise, a camera) works pixel by pixel, and JAX shares it likewise; XLA
    gathers a plane for other Fourier transforms, such as that of the kernel of a `Correlator`.

    Arguments:
        part: a `MaskedFFT`, or a device with some; what else is in it stays whole.
        mesh: of the JAX devices, with one axis that JAX shares by itself (`AxisType.Auto`), such as
            `jax.sharding.Mesh(jax.devices(), ("rows",))`.

    Returns:
        the same with `SharedMaskedFFT` in the place of each `MaskedFFT`.

    Raises:
        ValueError: no `MaskedFFT` in `part`, a `mesh` that is none, has several axes or an explicit one, or
            rows of light, rows or columns that the devices do not divide.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> mesh = jax.sharding.Mesh(jax.devices()[:1], ("rows",))
        >>> shared = optics.share_plane(optics.dft(32), mesh)
        >>> round(float(abs(shared(jnp.ones((32, 32)))).max()), 4)
        32.0

    Source: J. W. Cooley and J. W. Tukey, Math. Comp. 19, 297 (1965), on one axis and then the other.
    """
    check_instance("mesh", mesh, Mesh, EXAMPLE)
    if len(mesh.axis_names) != 1 or set(mesh.axis_types) != {AxisType.Auto}:
        raise ValueError(
            f"`mesh` must have one axis of `AxisType.Auto`, as {EXAMPLE} has; got "
            f"{dict(zip(mesh.axis_names, mesh.axis_types, strict=True))}."
        )
    found = [leaf for leaf in jax.tree.leaves(part, is_leaf=_is_masked) if _is_masked(leaf)]
    if not found:
        raise ValueError(
            "`part` must be a `MaskedFFT`, or a device with one, such as `optics.compile_transfer` makes of "
            f"more than 16 pixels a side whose pupil does not cut the light; got {type(part).__name__}."
        )
    for transfer in found:
        if transfer.masks_in.ndim != 3:
            raise ValueError(
                "`part` must have one mode of light, and its `MaskedFFT` has several, of shape "
                f"{transfer.masks_in.shape[:-3]}."
            )
        sizes = transfer.masks_in.shape[-2], *transfer.shape
        if any(size % mesh.size for size in sizes):
            raise ValueError(
                f"`mesh` of {mesh.size} devices must divide the {sizes[0]} rows of light, and the "
                f"{sizes[1]} rows and {sizes[2]} columns."
            )
    return _replace(part, mesh)


def _replace(part: PyTree, mesh: Mesh) -> PyTree:
    return jax.tree.map(
        lambda leaf: SharedMaskedFFT(leaf, mesh) if _is_masked(leaf) else leaf, part, is_leaf=_is_masked
    )


def _is_masked(part: Any) -> bool:
    return isinstance(part, MaskedFFT)
