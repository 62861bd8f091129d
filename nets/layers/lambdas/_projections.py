"""What lambda layers of one and two dimensions share: the projections, and how lambdas are put together and applied."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

import optics
from nets.layers._check import at_least_one, divides, one_of
from nets.layers.attention._linear import torch_uniform
from nets.layers.lambdas._content import causal_content, content_lambda
from nets.layers.lambdas._relative import METHODS, by_convolution, by_fft, by_matrix
from optics.gradients import gradient_rule


def extended(
    v: Float[Array, "batch depth intra *space"],
    taps: tuple[int, ...],
    boundary: str,
    mask: Bool[Array, "batch tokens"] | None,
) -> tuple[Float[Array, "batch depth intra *extended"], bool]:
    """Values laid out so that output i is a sum over values i … i + taps − 1, along each axis of space.

    A circle closes after the last token of a row, not after its padding: a row gives the same however far it is padded.

    Arguments:
        v: values, padding zero.
        taps: of the relative positions; tap s acts on the position s − taps // 2 away ("causal": s − taps + 1).
        boundary: "circular", "zero" or "causal".
        mask: True where there is a token, or None; one-dimensional sequences only.

    Returns:
        the values, longer by taps − 1; or of the same length, and True, if the sum itself wraps around.
    """
    axes = tuple(range(-len(taps), 0))
    before = [n - 1 if boundary == "causal" else n // 2 for n in taps]
    if boundary != "circular":
        padding = [(b, n - 1 - b) for b, n in zip(before, taps, strict=True)]
        return jnp.pad(v, [(0, 0)] * (v.ndim - len(taps)) + padding), False
    if mask is None:
        return jnp.roll(v, before, axes), True
    length = jnp.max(jnp.where(mask, jnp.arange(1, mask.shape[1] + 1), 1), axis=1)
    seen = jnp.arange(v.shape[-1] + taps[0] - 1) - before[0]
    # Tokens first, so that what is gathered, and scattered by the gradient, is whole vectors.
    tokens = jnp.moveaxis(v, -1, 1)
    index = (seen % length[:, None])[:, :, None, None]
    return jnp.moveaxis(jnp.take_along_axis(tokens, index, axis=1), 1, -1), False


# Numbers of the lambdas held at once, 16 MiB in float32; more than that is computed in turns.
LARGEST = 2**22


class LambdaProjections(nnx.Module):
    """Queries, keys, values and relative positions of a lambda layer; `LambdaLayer` and `LambdaConv2d` are made of it.

        y[n, h] = (λc + λp[n])ᵀ q[n, h]

    Arguments as those of `LambdaLayer`, with `taps` for the scope, by axis.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        key_depth: int,
        taps: tuple[int, ...],
        boundary: str,
        intra_depth: int,
        normalization: str | None,
        method: str,
        gradient: Any,
        rngs: nnx.Rngs,
    ):
        divides(features, heads)
        at_least_one(key_depth=key_depth, intra_depth=intra_depth)
        one_of("normalization", normalization, ("batch", "layer", None))
        one_of("method", method, METHODS)
        self.features, self.heads, self.taps, self.boundary, self.method = (
            features,
            heads,
            taps,
            boundary,
            method,
        )
        self.shape = (key_depth, intra_depth, features // heads)
        self.convolve = gradient_rule(gradient)(optics.convolve)

        def project(outputs):
            return nnx.Linear(features, outputs, use_bias=False, kernel_init=torch_uniform, rngs=rngs)

        values = intra_depth * features // heads
        self.query, self.key, self.value = (
            project(heads * key_depth),
            project(key_depth * intra_depth),
            project(values),
        )
        bound = 1 / math.sqrt(intra_depth * math.prod(taps))
        self.relative = nnx.Param(
            jax.random.uniform(rngs.params(), (key_depth, intra_depth, *taps), minval=-bound, maxval=bound)
        )
        norm = {
            "batch": lambda n: nnx.BatchNorm(n, momentum=0.9, rngs=rngs),
            "layer": lambda n: nnx.LayerNorm(n, epsilon=1e-5, rngs=rngs),
        }
        make = norm.get(normalization, lambda n: None)
        self.query_norm, self.value_norm = make(heads * key_depth), make(values)

    def _mixed(
        self,
        x: Float[Array, "batch tokens features"],
        space: tuple[int, ...],
        device: Any,
        key: Array | None,
        mask: Bool[Array, "batch tokens"] | None,
    ) -> Float[Array, "batch tokens features"]:
        """The layer, on tokens that lie in a space of one axis or two."""
        depth, intra, width = self.shape
        if mask is not None:
            # Zero, so that what padding holds, whatever it is, goes nowhere.
            x = jnp.where(mask[..., None], x, 0)
        q = _normalized(self.query_norm, self.query(x), mask).reshape(*x.shape[:2], self.heads, depth)
        keys = self.key(x).reshape(*x.shape[:2], depth, intra)
        v = _normalized(self.value_norm, self.value(x), mask)
        v = v if mask is None else jnp.where(mask[..., None], v, 0)
        v = jnp.moveaxis(v.reshape(*x.shape[:2], width, intra), 1, -1)
        seen, wraps = extended(v.reshape(*v.shape[:3], *space), self.taps, self.boundary, mask)
        causal = self.boundary == "causal"
        content = jnp.zeros((len(x), depth, width), v.dtype) if causal else content_lambda(keys, v, mask)
        y = self._applied(q, content, seen, wraps, device, key)
        y = y + causal_content(q, keys, v, mask) if causal else y
        return y.reshape(x.shape)

    def _applied(self, q, content, seen, wraps, device, key):
        """Σ_k q (λc + λp), the position lambdas of at most `LARGEST` numbers at a time."""
        relative = self.relative[...]
        q, content = jnp.moveaxis(q, -1, 0), jnp.moveaxis(content, 1, 0)[..., None]

        def apply(q, content, lambdas):
            return jnp.einsum("kbnh,kbvn->bnhv", q, content + lambdas.reshape(*lambdas.shape[:3], -1))

        if device is not None or self.method == "direct":
            return apply(q, content, by_convolution(seen, relative, wraps, self.convolve, device, key))
        if self.method == "dense":
            return apply(q, content, by_matrix(seen, relative, wraps))
        lambdas = by_fft(seen, self.taps, wraps)
        each = q.shape[1] * q.shape[2] * self.shape[2]
        together = max(n for n in range(1, len(q) + 1) if len(q) % n == 0 and (n == 1 or n * each <= LARGEST))
        if together == len(q):
            return apply(q, content, lambdas(relative))
        parts = [a.reshape(-1, together, *a.shape[1:]) for a in (q, content, relative)]

        @jax.checkpoint
        def add(y, part):
            q, content, relative = part
            return y + apply(q, content, lambdas(relative)), None

        start = jnp.zeros((*q.shape[1:], self.shape[2]), seen.dtype)
        return jax.lax.scan(add, start, tuple(parts))[0]


def _normalized(norm: nnx.Module | None, a: Array, mask: Array | None) -> Array:
    """Padding counts in no batch's statistics."""
    if (
        isinstance(norm, nnx.BatchNorm)
        and mask is not None
        and norm.axis_name is not None
        and not norm.use_running_average
    ):
        return _normalized_across(norm, a, mask)
    if isinstance(norm, nnx.BatchNorm) and mask is not None:
        # Of a batch of nothing but padding there are no statistics; any will do.
        return norm(a, mask=(mask | ~jnp.any(mask))[..., None])
    return a if norm is None else norm(a)


def _normalized_across(norm: nnx.BatchNorm, a: Array, mask: Array) -> Array:
    """The same where a batch is shared out: each device counts by its tokens, while Flax would count all devices alike."""
    there = mask[..., None].astype(a.dtype)
    parts = jnp.stack([(a * there).sum((0, 1)), (a**2 * there).sum((0, 1))])
    count = jnp.maximum(jax.lax.psum(there.sum(), norm.axis_name), 1)
    mean, square = jax.lax.psum(parts, norm.axis_name) / count
    variance = jnp.maximum(square - mean**2, 0)
    for statistic, value in ((norm.mean, mean), (norm.var, variance)):
        statistic[...] = norm.momentum * statistic[...] + (1 - norm.momentum) * value
    return (a - mean) * jax.lax.rsqrt(variance + norm.epsilon) * norm.scale[...] + norm.bias[...]
