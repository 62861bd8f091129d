"""Transformers and lambda networks whose convolutions a simulated optical device can compute (flax.nnx).

Every layer is called as `layer(x, device=None, key=None)`; the names below are imported when first used, so that the
command lines answer `--help` without loading JAX.
"""

import importlib
from typing import Any

_HOME = {
    "LinearSelfAttention": "nets.layers.attention",
    "ConvSelfAttention": "nets.layers.attention",
    "LambdaLayer": "nets.layers.lambdas",
    "LambdaConv2d": "nets.layers.lambdas",
    "FourierMixing": "nets.layers._fourier_mixing",
    "FeedForward": "nets.layers._feed_forward",
    "ConvFeedForward": "nets.layers._feed_forward",
    "OpticalConv": "nets.layers._optical_conv",
    "convert": "nets.layers._convert",
    "Block": "nets.models._transformer",
    "Classifier": "nets.models._transformer",
    "ConvViT": "nets.models",
    "LambdaResNet": "nets.models",
    "ImageEmbedding": "nets.layers",
    "TokenEmbedding": "nets.models._transformer",
    "PatchEmbedding": "nets.models._transformer",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nets' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
