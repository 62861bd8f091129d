"""Lambda layers: attention's job without a map of all pairs of positions."""

from nets.layers.lambdas._image import LambdaConv2d as LambdaConv2d
from nets.layers.lambdas._sequence import LambdaLayer as LambdaLayer
