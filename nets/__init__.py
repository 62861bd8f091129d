"""Transformers and lambda networks whose convolutions a simulated optical device can compute (flax.nnx).

Every layer is called as `layer(x, device=None, key=None)`; the names below are imported when first used, so that the
command lines answer `--help` without loading JAX.
"""

import importlib
from typing import Any

_HOME = {
    "LinearSelfAttention": "nets.attention",
    "ConvSelfAttention": "nets.attention",
    "LambdaLayer": "nets.lambdas",
    "LambdaConv2d": "nets.lambdas",
    "FourierMixing": "nets.mixing",
    "FeedForward": "nets.feedforward",
    "ConvFeedForward": "nets.feedforward",
    "OpticalConv": "nets.conv",
    "convert": "nets.conversion",
    "Block": "nets.transformer",
    "Classifier": "nets.transformer",
    "ConvViT": "nets.vision",
    "LambdaResNet": "nets.vision",
    "ImageEmbedding": "nets.vision",
    "TokenEmbedding": "nets.transformer",
    "PatchEmbedding": "nets.transformer",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nets' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
