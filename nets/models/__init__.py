"""Networks made of the layers: a transformer for sequences, and two networks for images."""

from nets.models._conv_vit import ConvViT as ConvViT
from nets.models._lambda_resnet import LambdaResNet as LambdaResNet
from nets.models._transformer import Block as Block
from nets.models._transformer import Classifier as Classifier
