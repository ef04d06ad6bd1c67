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
