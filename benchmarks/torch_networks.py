"""The networks for small images in PyTorch, for `benchmarks/classifiers.py` to compare with."""

import torch
from torch import nn


def lenet(num_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.LazyLinear(120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes),
    )  # fmt: skip


def alexnet(num_classes: int) -> nn.Module:
    layers, before = [], 3
    for channels, pooled in ((64, True), (192, True), (384, False), (256, False), (256, True)):
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pooled else []
        before = channels
    return nn.Sequential(
        *layers, nn.Flatten(),
        nn.Dropout(0.5), nn.LazyLinear(4096), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, num_classes),
    )  # fmt: skip


def vgg19(num_classes: int) -> nn.Module:
    layers, before = [], 3
    for channels, depth in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(depth):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    layers[-1] = nn.AdaptiveMaxPool2d(1)
    hidden = [nn.Dropout(0.5), nn.Linear(512, 512), nn.ReLU()]
    hidden += [nn.Dropout(0.5), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), *hidden, nn.Linear(512, num_classes))


class Bottleneck(nn.Module):
    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, 4 * channels, 1, bias=False), nn.BatchNorm2d(4 * channels),
        )  # fmt: skip
        self.shortcut = nn.Identity()
        if before != 4 * channels or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, 4 * channels, 1, stride, bias=False), nn.BatchNorm2d(4 * channels)
            )

    def forward(self, x):
        return torch.relu(self.convolutions(x) + self.shortcut(x))


def resnet50(num_classes: int) -> nn.Module:
    layers, before = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for channels, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(depth):
            layers.append(Bottleneck(before, channels, stride if i == 0 else 1))
            before = 4 * channels
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes)
    )


NETWORKS = {"lenet": lenet, "alexnet": alexnet, "vgg19": vgg19, "resnet50": resnet50}
