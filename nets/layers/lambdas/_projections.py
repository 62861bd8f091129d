"""The base of lambda layers of sequences and of images: projections, and lambdas computed and applied."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float

from nets._batch_norm import BatchNorm
from nets._check import check_heads, check_rngs, check_sizes
from nets.layers._kernels import fan_in_uniform
from nets.layers._positions import correlate_by_fft, extend_values
from nets.layers._states import join_recent
from nets.layers.lambdas._content import ContentState, causal_content, content_lambda
from nets.layers.lambdas._relative import METHODS, lambdas_by_convolution, lambdas_by_matrix
from optics._check import check_choice, check_memory
from optics._chunks import largest_even_chunk
from optics._typing import CountLike, DeviceLike, GradientLike, KeyLike, PartLike, TextLike
from optics.gradients import gradient_rule


class LambdaState(NamedTuple):
    """The tokens so far, for a causal layer.

    Attributes:
        content: sums of the content lambda.
        recent: values that later tokens have in the scope of the position lambda.
    """

    content: ContentState
    recent: Float[Array, "batch values intra before"]


class LambdaProjections(nnx.Module):
    """Queries, keys, values and relative positions; the base of `LambdaLayer` and `LambdaConv2d`.

        y[n, h] = (λc + λp[n])ᵀ q[n, h]

    Arguments are those of `LambdaLayer`, with `taps` for the scope, by axis.
    """

    def __init__(
        self,
        features: CountLike,
        heads: CountLike,
        key_depth: CountLike,
        taps: tuple[int, ...],
        boundary: TextLike,
        intra_depth: CountLike,
        normalization: TextLike | None,
        method: TextLike,
        gradient: GradientLike,
        rngs: PartLike,
    ):
        check_heads(features, heads)
        check_sizes(key_depth=key_depth, intra_depth=intra_depth)
        check_choice("normalization", normalization, ("batch", "layer", None))
        check_choice("method", method, METHODS)
        gradient_rule(gradient)
        check_rngs(rngs)
        weights = key_depth * intra_depth * math.prod(taps)
        check_memory("key_depth", key_depth, weights + features * key_depth * heads, "the weights")
        check_memory("features", features, features * intra_depth * (features // heads), "the weights")
        self.features, self.heads, self.taps = features, heads, taps
        self.boundary, self.method, self.gradient = boundary, method, gradient
        self.shape = (key_depth, intra_depth, features // heads)

        def linear(outputs):
            return nnx.Linear(features, outputs, use_bias=False, kernel_init=fan_in_uniform, rngs=rngs)

        values = intra_depth * features // heads
        self.query = linear(heads * key_depth)
        self.key = linear(key_depth * intra_depth)
        self.value = linear(values)
        bound = 1 / math.sqrt(intra_depth * math.prod(taps))
        self.relative = nnx.Param(
            jax.random.uniform(rngs.params(), (key_depth, intra_depth, *taps), minval=-bound, maxval=bound)
        )
        # Queries begin as (1 + unit variance) / k, and the layer as the average of its lambdas over k. Around
        # zero they would cancel the content lambda in the mean over tokens, by which a network first learns;
        # without 1 / k the layer would outweigh what it is added to, and deep networks would be chaotic.
        self.query_norm = _norm(normalization, heads * key_depth, 1 / key_depth, 1 / key_depth, rngs)
        self.value_norm = _norm(normalization, values, 1.0, 0.0, rngs)

    def _mix(
        self,
        x: Float[Array, "batch tokens features"],
        space: tuple[int, ...],
        device: DeviceLike,
        key: KeyLike,
        mask: Bool[Array, "batch tokens"] | None,
        state: LambdaState | None = None,
    ) -> tuple[Float[Array, "batch tokens features"], LambdaState | None]:
        """The layer, on tokens that fill a space of one axis or two; or on those that follow a state, and the
        state with them.
        """
        depth, intra, _ = self.shape
        if mask is not None:
            # Whatever padding holds, not a number included, must reach no token.
            x = jnp.where(mask[..., None], x, 0)
        q = _normalize(self.query_norm, self.query(x), mask)
        q = rearrange(q, "batch tokens (heads depth) -> batch tokens heads depth", depth=depth)
        keys = rearrange(self.key(x), "batch tokens (depth intra) -> batch tokens depth intra", intra=intra)
        v = _normalize(self.value_norm, self.value(x), mask)
        v = v if mask is None else jnp.where(mask[..., None], v, 0)
        v = rearrange(v, "batch tokens (width intra) -> batch width intra tokens", intra=intra)
        recent = None
        if state is None:
            neighbours, wraps = extend_values(v.reshape(*v.shape[:3], *space), self.taps, self.boundary, mask)
        else:
            (neighbours, recent), wraps = join_recent(state.recent, v), False
        if self.boundary == "causal":
            content = jnp.zeros((len(x), depth, v.shape[1]), v.dtype)
        else:
            content = content_lambda(keys, v, mask)
        y = self._apply_lambdas(q, content, neighbours, wraps, device, key)
        if self.boundary == "causal":
            added, sums = causal_content(q, keys, v, mask, None if state is None else state.content)
            y, state = y + added, None if state is None else LambdaState(sums, recent)
        return y.reshape(x.shape), state

    def _apply_lambdas(self, q, content, neighbours, wraps, device, key):
        """Σ_k q (λc + λp); position lambdas by FFT in chunks of bounded memory, each of some keys k."""
        relative = self.relative[...]
        q = rearrange(q, "batch tokens heads depth -> depth batch tokens heads")
        content = rearrange(content, "batch depth values -> depth batch values 1")

        def apply(q, content, lambdas):
            return jnp.einsum("kbnh,kbvn->bnhv", q, content + lambdas.reshape(*lambdas.shape[:3], -1))

        if device is not None or self.method == "direct":
            lambdas = lambdas_by_convolution(neighbours, relative, wraps, self.gradient, device, key)
            return apply(q, content, lambdas)
        if self.method == "dense":
            return apply(q, content, lambdas_by_matrix(neighbours, relative, wraps))
        lambdas = correlate_by_fft(neighbours, self.taps, wraps)
        _, batch, tokens, _ = q.shape
        chunk = largest_even_chunk(len(q), batch * tokens * self.shape[2])
        if chunk == len(q):
            return apply(q, content, lambdas(relative))
        chunks = [a.reshape(-1, chunk, *a.shape[1:]) for a in (q, content, relative)]

        @jax.checkpoint
        def add(y, chunk):
            q, content, relative = chunk
            return y + apply(q, content, lambdas(relative)), None

        start = jnp.zeros((*q.shape[1:], self.shape[2]), neighbours.dtype)
        return jax.lax.scan(add, start, tuple(chunks))[0]


def _norm(kind: str | None, count: int, scale: float, bias: float, rngs: nnx.Rngs) -> nnx.Module | None:
    """A normalisation of `count` numbers, with its first scale and bias."""
    if kind == "batch":
        return BatchNorm(count, scale, bias, rngs=rngs)
    first = {"scale_init": nnx.initializers.constant(scale), "bias_init": nnx.initializers.constant(bias)}
    return None if kind is None else nnx.LayerNorm(count, epsilon=1e-5, rngs=rngs, **first)


def _normalize(norm: nnx.Module | None, a: Array, mask: Array | None) -> Array:
    """Normalise, with padding left out of the statistics of a batch."""
    if norm is None:
        return a
    return norm(a, mask) if isinstance(norm, BatchNorm) else norm(a)
