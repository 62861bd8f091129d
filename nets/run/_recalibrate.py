"""Gains and norms of a network that are fitted on a device, without labels."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nets._check import check_module
from nets.models import Block
from nets.run._watch import watch_outputs
from optics._check import check_given_key
from optics._typing import ArrayLike, DeviceLike, KeyLike, PartLike

# Of a variance, below which a feature counts as constant and keeps its gain.
SMALL = 1e-12
BRANCHES = {"attention": "scale1", "feed_forward": "scale2"}


def recalibrate(model: PartLike, rows: ArrayLike, device: DeviceLike, key: KeyLike) -> nnx.Module:
    """A copy of a trained network whose norms and residual gains fit a device as it is now, without labels.

    Every norm, in the order of the computation, gets the scale and bias that bring its output on the device
    closest to that of the exact network on the same rows; so does every LayerScale of a residual branch,
    without a bias.

        a = cov(d, e) / var(d),   b = mean(e) − a · mean(d)   for each feature
        scale ← a · scale,   bias ← a · bias + b

    e is the exact output and d that of the device, over rows and tokens. A feature that is noise alone gets a
    gain near 0. The weights stay.

    Arguments:
        model: trained; it is not changed.
        rows: inputs of the network, of the kind that it will see, shape (rows, …).
        device: computes what the network gives to a device.
        key: of the noise, consumed.

    Returns:
        the network, in evaluation mode.

    Raises:
        ValueError: no network, no device, no key, or what the network refuses.

    Example:
        >>> import jax, nets, optics
        >>> from flax import nnx
        >>> model = nets.ConvViT((6, 6), 3, 2, (3, 3), depth=1, heads=2, rngs=nnx.Rngs(0))
        >>> device = optics.presets.load("engine11", pixels=3, photons=100)
        >>> rows = jax.random.normal(jax.random.key(0), (8, 6, 6))
        >>> fitted = nets.run.recalibrate(model, rows, device, jax.random.key(1))
    """
    check_module("model", model, "`nets.run.load(folder).model`")
    check_given_key("key", key)
    model = nnx.clone(model)
    model.eval()
    return _fit(model, rows, device, key, _norms(model) | _layer_scales(model))


def measure_layer_scales(model: nnx.Module, rows: ArrayLike, device: DeviceLike, key: jax.Array) -> None:
    """Set the LayerScale of each residual branch to the gain that brings the branch on the device closest to
    the exact one: 1 where the device is exact, and near 0 where its noise hides the result.

        s = Σ d e / Σ d²   over rows, tokens and features

    Arguments:
        model: new, with LayerScales; they are set in place.
        rows: inputs of the network.
        device: as in training.
        key: of the noise.
    """
    deterministic = model.dropout.deterministic
    model.eval()
    _fit(model, rows, device, key, _layer_scales(model), one_gain=True)
    if not deterministic:
        model.train()


def _fit(
    model: nnx.Module,
    rows: ArrayLike,
    device: DeviceLike,
    key: jax.Array,
    targets: dict[str, tuple[nnx.Param, nnx.Param | None]],
    one_gain: bool = False,
) -> nnx.Module:
    """Fit the gain and offset of each target in place, in the order of the computation; returns the model.

    Arguments:
        targets: the scale and the bias that act on the output of the layer at a path.
        one_gain: one gain for all features.
    """
    graph, state = nnx.split(model)

    @jax.jit
    def outputs(state, device, key):
        found = outputs_of(nnx.merge(graph, state), set(targets), rows, device, key)
        # Their order: that of a dictionary does not survive `jit`.
        order[:] = found
        return found

    order: list[str] = []
    exact = outputs(state, None, None)
    for path in tuple(order):
        measured = outputs(nnx.state(model), device, key)[path]
        scale, bias = targets[path]
        gain, offset = _least_squares(measured, exact[path], bias is not None, one_gain)
        scale[...] = scale[...] * gain
        if bias is not None:
            bias[...] = bias[...] * gain + offset
    return model


def outputs_of(
    model: nnx.Module, paths: set[str], rows: ArrayLike, device: DeviceLike, key: KeyLike
) -> dict[str, jax.Array]:
    """The first outputs of the layers at some paths, in the order of the computation."""
    found: dict[str, jax.Array] = {}

    def observe(path: str, output: Any) -> None:
        if path in paths:
            found.setdefault(path, output)

    with watch_outputs(model, observe):
        model(rows, device, key)
    return found


def _least_squares(
    measured: jax.Array, exact: jax.Array, with_offset: bool, one_gain: bool
) -> tuple[jax.Array, jax.Array]:
    """a and b of exact ≈ a · measured + b, for each feature, the last axis, or one a for all."""
    axes = tuple(range(measured.ndim if one_gain else measured.ndim - 1))
    centre = (lambda a: a.mean(axes)) if with_offset else (lambda a: jnp.zeros_like(a).mean(axes))
    d, e = measured - centre(measured), exact - centre(exact)
    variance = (d * d).mean(axes)
    gain = jnp.where(variance > SMALL, (d * e).mean(axes) / jnp.maximum(variance, SMALL), 1.0)
    return gain, centre(exact) - gain * centre(measured)


def _norms(model: nnx.Module) -> dict[str, tuple[nnx.Param, nnx.Param | None]]:
    kinds = nnx.LayerNorm | nnx.BatchNorm
    return {
        ".".join(map(str, path)): (module.scale, module.bias)
        for path, module in nnx.iter_modules(model)
        if isinstance(module, kinds) and module.scale is not None and module.bias is not None
    }


def _layer_scales(model: nnx.Module) -> dict[str, tuple[nnx.Param, nnx.Param | None]]:
    return {
        ".".join(map(str, (*path, branch))): (getattr(module, scale), None)
        for path, module in nnx.iter_modules(model)
        if isinstance(module, Block) and module.scale1 is not None
        for branch, scale in BRANCHES.items()
    }
