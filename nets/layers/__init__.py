"""Layers whose convolutions and products of matrices a device can compute: `layer(x, device=None, key=None)`.

The device is an argument of the call and never part of a layer: None computes exactly, and a key draws the
device's noise. `gradient` chooses how a device is differentiated. Layers that mix tokens also take a `mask`,
True where there is a token, and have an attribute `features`: `nets.models.Block` can hold any of them.

    mix tokens       attention: LinearSelfAttention, ConvSelfAttention
                     lambdas: LambdaLayer, LambdaConv2d
                     LongConvolution, FourierMixing
                     TokenMean, which learns nothing
    each token       FeedForward, ConvFeedForward
    embed            TokenEmbedding with BigramEmbedding, PatchEmbedding, ImageEmbedding
    any Flax model   OpticalConv and OpticalDense are `flax.nnx.Conv` and `Linear` on a device; convert(model)
                     computes all in a network on it
    training         Dropout, TokenDropout, freeze; naive_bayes_ratios for bigrams

Causal layers that mix tokens (all but LambdaConv2d and FourierMixing can be) also go on token by token, from
`state = layer.start(batch, length)`: `y, state = layer.extend(x, state, device, key)` mixes the tokens x that
follow those in the state. Where tokens share an exposure (products of matrices, position lambdas, long
convolutions, and on a device larger than a token all of them), they share its full scale and the rounding of
its converters, and a call lets later tokens move earlier ones by about as much as the device errs; token by
token they cannot.

A new layer goes in a file of its own here, with its name added below; `nets/run/_build.py` makes a layer that
mixes tokens a choice of `--model`.
"""

from nets.layers._bigrams import BigramEmbedding as BigramEmbedding
from nets.layers._bigrams import hash_bigrams as hash_bigrams
from nets.layers._bigrams import naive_bayes_ratios as naive_bayes_ratios
from nets.layers._convert import convert as convert
from nets.layers._dropout import Dropout as Dropout
from nets.layers._dropout import TokenDropout as TokenDropout
from nets.layers._embedding import ImageEmbedding as ImageEmbedding
from nets.layers._embedding import PatchEmbedding as PatchEmbedding
from nets.layers._embedding import TokenEmbedding as TokenEmbedding
from nets.layers._embedding import as_image_size as as_image_size
from nets.layers._embedding import as_images as as_images
from nets.layers._feed_forward import ConvFeedForward as ConvFeedForward
from nets.layers._feed_forward import FeedForward as FeedForward
from nets.layers._fourier_mixing import FourierMixing as FourierMixing
from nets.layers._freeze import freeze as freeze
from nets.layers._long_convolution import LongConvolution as LongConvolution
from nets.layers._optical_conv import OpticalConv as OpticalConv
from nets.layers._optical_dense import OpticalDense as OpticalDense
from nets.layers._token_mean import TokenMean as TokenMean
from nets.layers.attention import ConvSelfAttention as ConvSelfAttention
from nets.layers.attention import LinearSelfAttention as LinearSelfAttention
from nets.layers.lambdas import LambdaConv2d as LambdaConv2d
from nets.layers.lambdas import LambdaLayer as LambdaLayer
