"""Nets: functions of the shape of one output and of settings, which return a Haiku transform of `(x, is_training)`."""

from runner.nets.cnn import cnn
from runner.nets.dcgan import image_discriminator, image_generator
from runner.nets.linear import linear
from runner.nets.linen import from_linen
from runner.nets.mlp import mlp
from runner.nets.residual_mlp import residual_mlp
from runner.nets.resnet import resnet
from runner.nets.transformer import transformer
from runner.nets.unet import unet

__all__ = [
    "cnn",
    "from_linen",
    "image_discriminator",
    "image_generator",
    "linear",
    "mlp",
    "residual_mlp",
    "resnet",
    "transformer",
    "unet",
]
