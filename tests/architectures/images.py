"""Generators whose input is an image, and FastGAN's gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SrganBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Srgan(nn.Module):
    """SRResNet (Ledig et al. 2017): residual blocks and PixelShuffle; four times the side."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.PReLU())
        self.body = nn.Sequential(SrganBlock(width), SrganBlock(width))
        self.tail = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        ups: list[nn.Module] = []
        for _ in range(2):
            ups += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.up = nn.Sequential(*ups)
        self.image = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return torch.tanh(self.image(self.up(x + self.tail(self.body(x)))))


class DenseBlock(nn.Module):
    """Every convolution reads all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(width + 2 * growth, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.leaky_relu(self.conv1(x), 0.2)
        b = F.leaky_relu(self.conv2(torch.cat((x, a), 1)), 0.2)
        return self.conv3(torch.cat((x, a, b), 1)) * 0.2 + x


class Rrdb(nn.Module):
    """ESRGAN's generator (Wang et al. 2018): residual in residual dense blocks, nearest-neighbour upsampling."""

    def __init__(self, width: int = 12, growth: int = 6) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList([nn.Sequential(*(DenseBlock(width, growth) for _ in range(2))) for _ in range(2)])
        self.trunk = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.Conv2d(width, width, 3, padding=1)
        self.image = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        y = head
        for block in self.blocks:
            y = block(y) * 0.2 + y
        y = F.interpolate(head + self.trunk(y), scale_factor=2)
        return self.image(F.leaky_relu(self.up(y), 0.2))


class Unet(nn.Module):
    """pix2pix (Isola et al. 2017): each way down is joined to the way up of its size."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, width, 4, 2, 1)
        self.down2 = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False)
        self.down_norm = nn.BatchNorm2d(2 * width)
        self.bottom = nn.Conv2d(2 * width, 2 * width, 4, 2, 1)
        self.up1 = nn.ConvTranspose2d(2 * width, 2 * width, 4, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(2 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, width, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.5)
        self.image = nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down_norm(self.down2(F.leaky_relu(a, 0.2)))
        c = self.norm1(self.up1(F.relu(self.bottom(F.leaky_relu(b, 0.2)))))
        d = self.norm2(self.up2(F.relu(torch.cat([self.drop(c), b], 1))))
        return torch.tanh(self.image(F.relu(torch.cat([d, a], 1))))


class ResnetBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(True)]
        self.conv_block = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class CycleGanResnet(nn.Module):
    """Zhu et al. 2017: reflection padding, instance norm without and (once) with a scale, residual blocks."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True)),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width, affine=True), nn.ReLU(True)),
            *(ResnetBlock(2 * width), ResnetBlock(2 * width)),
            *(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(width)),
            *(nn.ReLU(True), nn.ReflectionPad2d(3)),
        )
        self.image = nn.Conv2d(width, 3, 7)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.image(self.model(x)))


def gated_up(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(width_in, 2 * width, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.GLU(dim=1),
    )


class Excitation(nn.Module):
    """Channels of a large map weighted by what a small map says (FastGAN's skip-layer excitation)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            nn.Conv2d(width_in, width, 4, bias=False),
            nn.SiLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        return large * self.main(small)


class FastGan(nn.Module):
    """Liu et al. 2021: gated linear units; ``(B, 8) -> (B, 3, 16, 16)``."""

    def __init__(self, latent: int = 8, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.ConvTranspose2d(latent, 2 * width, 4, bias=False), nn.BatchNorm2d(2 * width), nn.GLU(dim=1)
        )
        self.up1, self.up2 = gated_up(width, width), gated_up(width, width // 2)
        self.excite = Excitation(width, width // 2)
        self.image = nn.Conv2d(width // 2, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        small = self.stem(z[:, :, None, None])
        return torch.tanh(self.image(self.excite(small, self.up2(self.up1(small)))))


class TwoOutputs(nn.Module):
    """An image and a mask from one trunk; the trunk's features are returned pooled as well."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.image, self.mask = nn.Conv2d(2 * width, 3, 1), nn.Conv2d(2 * width, 1, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = F.relu(self.body(F.relu(self.head(x))))
        return {"image": torch.tanh(self.image(h)), "mask": torch.sigmoid(self.mask(h))}
