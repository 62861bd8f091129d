"""Transformers and lambda networks in Flax, on simulated optical devices that convolve and multiply matrices.

Every layer is called as `layer(x, device=None, key=None)`; without a device it is exact.

| name                  | what it is                                                        |
| --------------------- | ----------------------------------------------------------------- |
| `LinearSelfAttention` | self-attention whose projections are matrices                     |
| `ConvSelfAttention`   | self-attention whose projections are circular convolutions        |
| `LambdaLayer`         | lambda layer for sequences                                        |
| `LambdaConv2d`        | lambda layer for images                                           |
| `FourierMixing`       | mixes tokens by a Fourier transform                               |
| `LongConvolution`     | mixes tokens by one long kernel for each feature, with gates      |
| `TokenMean`           | the mean over tokens, in place of a layer that learns to mix them |
| `FeedForward`         | two matrices with a nonlinearity between them                     |
| `ConvFeedForward`     | the same with convolutions                                        |
| `OpticalConv`         | `flax.nnx.Conv` on a device                                       |
| `OpticalDense`        | `flax.nnx.Linear` on a device                                     |
| `ImageEmbedding`      | images to vectors of their patches                                |
| `TokenEmbedding`      | tokens to vectors                                                 |
| `PatchEmbedding`      | vectors of patches to vectors of the width of the network         |
| `Block`               | transformer block of a layer that mixes tokens and a feed-forward |
| `Classifier`          | embedding, blocks, mean over tokens, class logits                 |
| `LanguageModel`       | embedding, blocks, logits of the next token or of masked tokens   |
| `ConvViT`             | vision transformer with convolutional attention                   |
| `LambdaResNet`        | residual network of lambda layers for images                      |
| `convert`             | any Flax network with its convolutions and products on a device   |
| `Config`              | the options of a training run                                     |
| `fit`                 | train the network of a `Config` and write the folder of the run   |
| `recalibrate`         | norms and gains that fit a device as it is now, without labels    |

The rooms behind them: `nets.layers`, `nets.models`, `nets.data` (data sets and batches) and `nets.run` (runs
and their folders). The commands: `python -m nets.train`, `nets.evaluate`, `nets.generate` and
`nets.export`.

Names are imported on first use, so that the commands answer `--help` without loading JAX.
"""

import importlib
from typing import Any

_ROOMS = ("config", "data", "layers", "models", "run")
_HOME = {
    "LinearSelfAttention": "nets.layers",
    "ConvSelfAttention": "nets.layers",
    "LambdaLayer": "nets.layers",
    "LambdaConv2d": "nets.layers",
    "FourierMixing": "nets.layers",
    "LongConvolution": "nets.layers",
    "TokenMean": "nets.layers",
    "FeedForward": "nets.layers",
    "ConvFeedForward": "nets.layers",
    "OpticalConv": "nets.layers",
    "OpticalDense": "nets.layers",
    "ImageEmbedding": "nets.layers",
    "TokenEmbedding": "nets.layers",
    "PatchEmbedding": "nets.layers",
    "Block": "nets.models",
    "Classifier": "nets.models",
    "LanguageModel": "nets.models",
    "ConvViT": "nets.models",
    "LambdaResNet": "nets.models",
    "convert": "nets.layers",
    "Config": "nets.config",
    "fit": "nets.run",
    "recalibrate": "nets.run",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"nets.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'nets' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
