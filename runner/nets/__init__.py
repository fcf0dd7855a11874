"""Nets: from the shape of one output, and settings, to a transformed function `(x [B, ...], is_training)`."""

from runner.nets.cnn import cnn
from runner.nets.dcgan import image_discriminator, image_generator
from runner.nets.linear import linear
from runner.nets.mlp import mlp
from runner.nets.resnet import resnet

__all__ = ["cnn", "image_discriminator", "image_generator", "linear", "mlp", "resnet"]
