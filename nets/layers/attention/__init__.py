"""Self-attention: projections by matrices, and by convolutions that a device can compute.

`LinearSelfAttention` has matrices in three forms. `ConvSelfAttention` has circular convolutions: direct, one
convolution for each head and projection, or spectral, one optical transform forward and one back for all
heads. Both have a method `attention_map`, with the arguments of a call.
"""

from nets.layers.attention._convolutional import ConvSelfAttention as ConvSelfAttention
from nets.layers.attention._dot_product import dot_product_attention_of as dot_product_attention_of
from nets.layers.attention._linear import LinearSelfAttention as LinearSelfAttention
