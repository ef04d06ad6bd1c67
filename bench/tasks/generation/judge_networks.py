"""The networks that come with the package and judge images: features and class scores."""

from __future__ import annotations

from torch import Tensor, nn


class LeNet(nn.Module):
    """A LeNet-like classifier that judges 28 x 28 grey images: 3 convolutions, 64 features, 10 logits.

    Input: float ``(B, 1, 28, 28)`` in [-1, 1]. Output: features ``(B, 64)``, logits ``(B, 10)``. The features
    come out of a leaky ReLU: none is dead, so their covariance has full rank.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Flatten(),
        )
        self.embed = nn.Sequential(nn.Linear(32 * 49, 64), nn.LeakyReLU(0.1, inplace=True))
        self.classify = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.embed(self.convolutions(x))
        return features, self.classify(features)


class DummyJudge(nn.Module):
    """A fixed network that judges 8 x 8 images: 6 random features, 4 logits that say which corner is brightest."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(1, 6, 4, 4), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten())
        self.corners = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
        self.classify = nn.Linear(4, 4, bias=False)
        nn.init.eye_(self.classify.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.embed(x)
        corners = self.corners(x)
        return features, self.classify(30 * (corners - corners.mean(1, keepdim=True)))


def convolution(width_in: int, width: int) -> list[nn.Module]:
    """A 3 x 3 convolution of the same side, BatchNorm and ReLU."""
    return [nn.Conv2d(width_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


class CifarNet(nn.Module):
    """A classifier that judges 32 x 32 colour images: seven convolutions, 64 features, ten logits; 29 M operations.

    Input: float ``(B, 3, 32, 32)`` in [-1, 1]. Output: features ``(B, 64)`` out of a leaky ReLU, so that none is dead
    and their covariance has full rank, and logits ``(B, 10)``.
    """

    def __init__(self, classes: int = 10, features: int = 64) -> None:
        super().__init__()
        pool: list[nn.Module] = [nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(
            *convolution(3, 24),
            *convolution(24, 24),
            *pool,
            *convolution(24, 56),
            *convolution(56, 56),
            *pool,
            *convolution(56, 112),
            *convolution(112, 112),
            *pool,
            *convolution(112, 128),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.embed = nn.Sequential(nn.Linear(128, features), nn.LeakyReLU(0.1))
        self.classify = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.embed(self.convolutions(x))
        return features, self.classify(features)
