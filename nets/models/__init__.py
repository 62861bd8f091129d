"""Networks made of the layers, called as `model(x, device=None, key=None)`; `model.eval()` turns dropout off.

`Classifier` puts an embedding, any number of `Block`s, a mean and linear classes together. `ConvViT` is such
a classifier of images, whose attention is made of convolutions. `LambdaResNet` is a residual network whose
bottlenecks hold lambda layers. `LanguageModel` gives logits of tokens instead of classes, and goes on token
by token. A new network goes in a file of its own here, with its name added below; `nets/run/_build.py` makes
it a choice of `--model`.
"""

from nets.models._conv_vit import ConvViT as ConvViT
from nets.models._lambda_resnet import LambdaResNet as LambdaResNet
from nets.models._language_model import LanguageModel as LanguageModel
from nets.models._transformer import Block as Block
from nets.models._transformer import Classifier as Classifier
