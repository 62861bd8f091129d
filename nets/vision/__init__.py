"""Networks of images."""

from nets.vision.conv_vit import ConvViT as ConvViT
from nets.vision.image_embedding import ImageEmbedding as ImageEmbedding
from nets.vision.lambda_resnet import LambdaResNet as LambdaResNet
