"""Self-attention with linear and with convolutional projections."""

from nets.layers.attention._convolutional import ConvSelfAttention as ConvSelfAttention
from nets.layers.attention._linear import LinearSelfAttention as LinearSelfAttention
