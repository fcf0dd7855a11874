"""Plain PyTorch on the CPU, with its default threads."""

from itertools import pairwise

import torch
from common import Job, batches
from torch import nn
from torch.nn import functional


def mlp(*sizes):
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def cnn():
    blocks = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    blocks += [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 7 * 7, 10))


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        conv = lambda *sizes, **more: nn.Sequential(
            nn.Conv2d(*sizes, bias=False, **more), nn.BatchNorm2d(outputs)
        )
        first = conv(inputs, outputs, 3, stride=stride, padding=1)
        self.main = nn.Sequential(first, nn.ReLU(), conv(outputs, outputs, 3, padding=1))
        self.shortcut = conv(inputs, outputs, 1, stride=stride) if stride == 2 else nn.Identity()

    def forward(self, x):
        """Maps `[B, C, H, W]` to `[B, outputs, H / stride, W / stride]`."""
        return functional.relu(self.main(x) + self.shortcut(x))


def resnet18():
    stem = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    sizes = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    pairs = pairwise(sizes)
    blocks = [Block(before, after, 1 if before == after else 2) for before, after in pairs]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def classify(net):
    adam = torch.optim.Adam(net.parameters(), 1e-3)

    def update(x, y):
        logits = net(x.permute(0, 3, 1, 2) if x.ndim == 4 else x)
        loss = functional.cross_entropy(logits, y.long())
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()

    return update


def play(generator, discriminator):
    players = generator, discriminator
    optimizers = [torch.optim.Adam(player.parameters(), 1e-3, betas=(0.5, 0.999)) for player in players]

    def update(real):
        fake = generator(torch.randn(len(real), 8)).detach()
        loss = (functional.softplus(-discriminator(real)) + functional.softplus(discriminator(fake))).mean()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        loss = functional.softplus(-discriminator(generator(torch.randn(len(real), 8)))).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        return loss.detach()

    return update


job = Job()
if job.work == "W2":
    nets = [mlp(8, 128, 128, 128, 2), mlp(2, 128, 128, 128, 1)]
    update = play(*nets)
else:
    nets = [{"W1": lambda: mlp(64, 128, 128, 10), "W3": cnn, "W4": resnet18}[job.work]()]
    update = classify(*nets)
source = batches(job.work, job.batch, job.path)
for step in range(1, job.steps + 1):
    job.tick(step, update(*map(torch.from_numpy, next(source))))
job.finish(sum(values.numel() for net in nets for values in net.parameters()))
