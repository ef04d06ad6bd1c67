"""The built-in networks. Plain modules: generators return images in [-1, 1], discriminators one logit."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DcganGenerator(nn.Module):
    """A DCGAN generator for 28 x 28 grey images (after Radford et al. 2016).

    ``z (B, latent)`` -> ``(B, latent, 1, 1)`` -> transposed convolutions with BatchNorm and ReLU, widths
    ``c, c/2, c/4`` at 7, 14 and 28 pixels -> 3 x 3 convolution -> tanh, ``(B, 1, 28, 28)``.
    """

    def __init__(self, latent: int = 64, channels: int = 192) -> None:
        super().__init__()
        c = channels
        self.net = nn.Sequential(
            nn.ConvTranspose2d(latent, c, 7, bias=False),
            nn.BatchNorm2d(c),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(c // 2),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(c // 2, c // 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(c // 4),
            nn.ReLU(inplace=True),
            nn.Conv2d(c // 4, 1, 3, 1, 1),
            nn.Tanh(),
        )
        self.apply(dcgan_init)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.net(z[:, :, None, None])
        return image


class DcganDiscriminator(nn.Module):
    """Spectrally normalised convolutions (Miyato et al. 2018), widths ``d, 2d, 4d``; ``(B, 1, 28, 28) -> (B,)``."""

    def __init__(self, channels: int = 48) -> None:
        super().__init__()
        d = channels
        layers = [
            nn.Conv2d(1, d, 4, 2, 1),
            nn.Conv2d(d, 2 * d, 4, 2, 1),
            nn.Conv2d(2 * d, 4 * d, 3, 2, 1),
            nn.Linear(4 * d * 16, 1),
        ]
        for layer in layers:
            dcgan_init(layer)
        first, second, third, last = (spectral_norm(layer) for layer in layers)
        self.net = nn.Sequential(
            first,
            nn.LeakyReLU(0.1, inplace=True),
            second,
            nn.LeakyReLU(0.1, inplace=True),
            third,
            nn.LeakyReLU(0.1, inplace=True),
            nn.Flatten(),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits.squeeze(1)


def dcgan_init(module: nn.Module) -> None:
    """Weights from N(0, .02), as Radford et al. 2016; BatchNorm scales from N(1, .02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Dcgan64Generator(nn.Module):
    """The classic DCGAN generator for 64 x 64 images (Radford et al. 2016), 3.58 M parameters.

    ``z (B, latent)`` or ``(B, latent, 1, 1)`` -> transposed convolutions with BatchNorm and ReLU, widths
    ``8c, 4c, 2c, c`` at 4, 8, 16 and 32 pixels -> transposed convolution -> tanh, ``(B, colours, 64, 64)``.
    Weights have the names of PyTorch's own example, ``main.0.weight`` and so on.
    """

    def __init__(self, latent: int = 100, channels: int = 64, colours: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, 8 * channels, 4, bias=False)]
        for width in (8 * channels, 4 * channels, 2 * channels):
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels, colours, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        self.apply(dcgan_init)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.main(z[:, :, None, None] if z.ndim == 2 else z)
        return image


class Dcgan64Discriminator(nn.Module):
    """The generator's mirror image, widths ``c, 2c, 4c, 8c``; ``(B, colours, 64, 64) -> (B,)`` logits."""

    def __init__(self, channels: int = 64, colours: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(colours, channels, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for width in (channels, 2 * channels, 4 * channels):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.main = nn.Sequential(*layers, nn.Conv2d(8 * channels, 1, 4, bias=False))
        self.apply(dcgan_init)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.main(x)
        return logits.flatten()


class MlpGenerator(nn.Module):
    """The classic fully connected generator 100-256-512-1024-784: LeakyReLU(.2), tanh, ``(B, 1, 28, 28)``."""

    def __init__(self, latent: int = 100, widths: tuple[int, ...] = (256, 512, 1024), side: int = 28) -> None:
        super().__init__()
        self.side = side
        layers: list[nn.Module] = []
        for width_in, width_out in zip((latent, *widths), widths, strict=False):
            layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
        layers += [nn.Linear(widths[-1], side * side), nn.Tanh()]
        self.net = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        flat: Tensor = self.net(z)
        return flat.view(-1, 1, self.side, self.side)


class MlpDiscriminator(nn.Module):
    """784-1024-512-256-1 with LeakyReLU(.2) and dropout .3; ``(B, 1, 28, 28) -> (B,)``."""

    def __init__(self, widths: tuple[int, ...] = (1024, 512, 256), side: int = 28) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in zip((side * side, *widths), widths, strict=False):
            layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
        layers.append(nn.Linear(widths[-1], 1))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits.squeeze(1)


class DummyGenerator(nn.Module):
    """A DCGAN in miniature, ``(B, 8) -> (B, 1, 8, 8)``: a whole sweep over it takes seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ConvTranspose2d(8, 12, 4, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=True),
            nn.Conv2d(12, 10, 3, 1, 1, bias=False),
            nn.BatchNorm2d(10),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(10, 1, 4, 2, 1),
            nn.Tanh(),
        )
        nn.init.normal_(self.net[6].weight, 0.0, 0.3)  # type: ignore[arg-type]

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.net(z[:, :, None, None])
        return image


class DummyDiscriminator(nn.Module):
    """``(B, 1, 8, 8) -> (B,)``."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Flatten(), nn.Linear(128, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits.squeeze(1)


def parameter_total(model: nn.Module) -> int:
    """All parameter entries, biases and norms included."""
    return sum(p.numel() for p in model.parameters())
