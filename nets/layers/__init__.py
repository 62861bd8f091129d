"""Layers whose convolutions a device can compute, called as `layer(x, device=None, key=None)`."""

from nets.layers._bigrams import PairEmbedding as PairEmbedding
from nets.layers._bigrams import class_weights as class_weights
from nets.layers._convert import convert as convert
from nets.layers._dropout import Dropout as Dropout
from nets.layers._dropout import TokenDropout as TokenDropout
from nets.layers._embedding import PatchEmbedding as PatchEmbedding
from nets.layers._embedding import TokenEmbedding as TokenEmbedding
from nets.layers._feed_forward import ConvFeedForward as ConvFeedForward
from nets.layers._feed_forward import FeedForward as FeedForward
from nets.layers._fourier_mixing import FourierMixing as FourierMixing
from nets.layers._freeze import fix as fix
from nets.layers._image_embedding import ImageEmbedding as ImageEmbedding
from nets.layers._optical_conv import OpticalConv as OpticalConv
from nets.layers.attention import ConvSelfAttention as ConvSelfAttention
from nets.layers.attention import LinearSelfAttention as LinearSelfAttention
from nets.layers.lambdas import LambdaConv2d as LambdaConv2d
from nets.layers.lambdas import LambdaLayer as LambdaLayer
