"""SNGAN (Miyato et al. 2018), the ResNets for 32 x 32 images (CIFAR-10): names of the library mimicry.

Its checkpoints hold the state dict under ``model_state_dict``. The generator has no spectral norm; D has.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm


class Block(nn.Module):
    """``(B, C, H, W) -> (B, C, 2H, 2W)``: norm, ReLU, enlarge, conv, norm, ReLU, conv; a 1 x 1 conv beside it.

    Args:
        mode: how both ways are enlarged; mimicry's is ``bilinear``, the paper's code ``nearest``.
    """

    def __init__(self, width: int, mode: str) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.b1, self.b2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.c_sc = nn.Conv2d(width, width, 1)
        self.enlarged = partial(F.interpolate, scale_factor=2, mode=mode)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.c1(self.enlarged(F.relu(self.b1(x))))
        y: Tensor = self.c2(F.relu(self.b2(inner))) + self.c_sc(self.enlarged(x))
        return y


class Generator(nn.Module):
    """``(B, nz) -> (B, 3, 32, 32)`` in [-1, 1]; 4,276,739 parameters.

    Args:
        nz: length of the noise, standard normal.
        ngf: channels everywhere.
        mode: see `Block`.
    """

    def __init__(self, nz: int = 128, ngf: int = 256, mode: str = "bilinear") -> None:
        super().__init__()
        self.l1 = nn.Linear(nz, 4 * 4 * ngf)
        self.block2, self.block3, self.block4 = Block(ngf, mode), Block(ngf, mode), Block(ngf, mode)
        self.b5 = nn.BatchNorm2d(ngf)
        self.c5 = nn.Conv2d(ngf, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.l1(z).view(len(z), -1, 4, 4)
        x = self.block4(self.block3(self.block2(x)))
        image: Tensor = self.c5(F.relu(self.b5(x)))
        return image.tanh()


def _conv(width_in: int, width: int, kernel: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(width_in, width, kernel, padding=kernel // 2))


class FirstDown(nn.Module):
    """``(B, 3, H, W) -> (B, width, H/2, W/2)``: conv, ReLU, conv, halve; beside it halve and a 1 x 1 conv."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1, self.c2 = _conv(3, width, 3), _conv(width, width, 3)
        self.c_sc = _conv(3, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.avg_pool2d(self.c2(F.relu(self.c1(x))), 2)
        y: Tensor = inner + self.c_sc(F.avg_pool2d(x, 2))
        return y


class Down(nn.Module):
    """ReLU, conv, ReLU, conv, and its input beside it; halved, with a 1 x 1 conv beside it, where ``halves``.

    The first ReLU of the public code works in place, so what goes beside has passed it as well.
    """

    def __init__(self, width: int, halves: bool) -> None:
        super().__init__()
        self.c1, self.c2 = _conv(width, width, 3), _conv(width, width, 3)
        if halves:
            self.c_sc = _conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        y: Tensor = self.c2(F.relu(self.c1(x)))
        return F.avg_pool2d(y + self.c_sc(x), 2) if hasattr(self, "c_sc") else y + x


class Discriminator(nn.Module):
    """``(B, 3, 32, 32)`` in [-1, 1] ``-> (B, 1)`` logits, for the hinge loss. ``ndf``: channels everywhere.

    Spectral norm is PyTorch's, by hooks (``weight_orig``), as in the library's later versions.
    """

    def __init__(self, ndf: int = 128) -> None:
        super().__init__()
        self.block1, self.block2 = FirstDown(ndf), Down(ndf, halves=True)
        self.block3, self.block4 = Down(ndf, halves=False), Down(ndf, halves=False)
        self.l5 = spectral_norm(nn.Linear(ndf, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block4(self.block3(self.block2(self.block1(x))))
        logit: Tensor = self.l5(F.relu(x).sum((2, 3)))
        return logit
