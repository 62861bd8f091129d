"""Self-attention with linear and with convolutional projections."""

from nets.attention.convolutional import ConvSelfAttention as ConvSelfAttention
from nets.attention.linear import LinearSelfAttention as LinearSelfAttention
