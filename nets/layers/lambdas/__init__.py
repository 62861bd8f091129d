"""Lambda layers: attention without a map of all pairs of positions.

Each position gets a small matrix, a lambda, made of all others, and applies it to its queries. The content
lambda is a softmax over the sequence; the position lambda is a convolution over positions, which a device can
compute. `LambdaLayer` is for sequences, `LambdaConv2d` for images. A new way to sum over relative positions
belongs beside the others in `_relative.py`.
"""

from nets.layers.lambdas._image import LambdaConv2d as LambdaConv2d
from nets.layers.lambdas._sequence import LambdaLayer as LambdaLayer
