"""Lambda layers: attention's job without a map of all pairs of positions."""

from nets.lambdas.image import LambdaConv2d as LambdaConv2d
from nets.lambdas.sequence import LambdaLayer as LambdaLayer
