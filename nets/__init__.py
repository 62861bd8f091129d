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
    "FourierMixing": "nets.layers",
    "FeedForward": "nets.layers",
    "ConvFeedForward": "nets.layers",
    "OpticalConv": "nets.layers",
    "convert": "nets.layers",
    "Block": "nets.models",
    "Classifier": "nets.models",
    "ConvViT": "nets.models",
    "LambdaResNet": "nets.models",
    "ImageEmbedding": "nets.layers",
    "TokenEmbedding": "nets.layers",
    "PatchEmbedding": "nets.layers",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nets' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
