"""What a user might bring: small generators with the habits of real ones. Loaded by its file name in tests."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def up(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


class Dcgan(nn.Module):
    """``(B, 12, 1, 1) -> (B, colours, 16, 16)`` in [-1, 1]."""

    def __init__(self, width: int = 8, colours: int = 3) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(12, 2 * width, 4, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            up(2 * width, width),
            nn.ConvTranspose2d(width, colours, 4, 2, 1),
            nn.Tanh(),
        )
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0, 0.3)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.main(z)
        return image


class Discriminator(nn.Module):
    """``(B, 3, 16, 16)`` -> probabilities ``(B, 1)``, as many a DCGAN's."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, 8, 4, 4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        assert float(x.detach().min()) >= -1e-3, "this one takes images in [0, 1]"
        chance: Tensor = self.main(x)
        return chance


class Conditional(Dcgan):
    """Noise and a label; ``form`` says which kind of label it takes. A dict with the image and more."""

    def __init__(self, form: str = "index") -> None:
        super().__init__()
        self.form = form
        self.embed = nn.Embedding(4, 12) if form == "index" else nn.Linear(4, 12)

    def forward(self, z: Tensor, label: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        shifted = z + self.embed(label)[:, :, None, None]
        return {"latent": z, "image": self.main(shifted)}


class UNet(nn.Module):
    """Image to image, ``(B, 1, 16, 24) -> (B, 3, 16, 24)``, not square, in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 8, 4, 2, 1)
        self.middle = nn.Conv2d(8, 8, 3, 1, 1)
        self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.out = nn.Conv2d(9, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        down = F.relu(self.down(x))
        up = F.relu(self.up(torch.cat([down, F.relu(self.middle(down))], 1)))
        return torch.sigmoid(4 * self.out(torch.cat([up, x], 1)))


class LastChannels(Dcgan):
    """``(B, 12, 1, 1) -> (B, 16, 16, 3)`` in [0, 255], in a tuple with something else."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return (127.5 * (self.main(z) + 1)).permute(0, 2, 3, 1), z


class Flat(nn.Module):
    """``(B, 12) -> (B, 256)``: a grey image that comes flat, in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 32), nn.LeakyReLU(0.2), nn.Linear(32, 256), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.net(z)
        return image


class OnGpu(Dcgan):
    """Insists on a GPU in its forward pass."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z.cuda())


class NotFinite(Dcgan):
    """Divides by zero."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) / 0


class Noisy(Dcgan):
    """Draws noise by itself."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z + torch.randn_like(z))


class NoLayers(nn.Module):
    """Nothing to prune: ``(B, 1, 16, 16)`` noise, filtered by a functional convolution."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(F.conv2d(z, torch.ones(1, 1, 3, 3), padding=1))


class Pixels(nn.Module):
    """A judge of 16 x 16 images: colours of nine patches as features."""

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 3).flatten(1)


def judge() -> nn.Module:
    return Pixels()


def broken() -> nn.Module:
    raise ValueError("no such width")


number = 3


class Normalised(nn.Module):
    """``(B, 12) -> (B, 3, 16, 16)`` under spectral norm, by hooks (``old``) or as parametrisations; BatchNorm too."""

    def __init__(self, form: str = "old") -> None:
        super().__init__()
        norm = nn.utils.spectral_norm if form == "old" else nn.utils.parametrizations.spectral_norm
        self.stem = norm(nn.Linear(12, 16 * 4 * 4))
        self.norm = nn.BatchNorm2d(16)
        self.up = norm(nn.ConvTranspose2d(16, 8, 4, 2, 1))
        self.image = norm(nn.ConvTranspose2d(8, 3, 4, 2, 1))

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(z).view(len(z), -1, 4, 4)))
        return torch.tanh(4 * self.image(F.relu(self.up(x))))


class NormalisedDiscriminator(nn.Module):
    """``(B, 3, 16, 16) -> (B, 1)`` logits, every layer under spectral norm."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.main = nn.Sequential(norm(nn.Conv2d(3, 8, 4, 4)), nn.LeakyReLU(0.2), nn.Flatten(), norm(nn.Linear(128, 1)))

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.main(x)
        return logit


class Projection(nn.Module):
    """``(B, 3, 16, 16)`` and a label -> logits ``(B, 1)``, by projection (Miyato & Koyama 2018)."""

    def __init__(self, form: str = "index") -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.LeakyReLU(0.2), nn.Flatten())
        self.embed = nn.Embedding(4, 128) if form == "index" else nn.Linear(4, 128, bias=False)
        self.out = nn.Linear(128, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        found = self.features(x)
        logit: Tensor = self.out(found) + (self.embed(label) * found).sum(1, keepdim=True)
        return logit


class Witness(nn.Module):
    """Logit 1 where the label says in which third of the picture the brightest row lies, else -1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        brightness = x.mean((1, 3))[:, :15].unflatten(1, (3, 5)).mean(2)
        return 2.0 * (brightness.argmax(1) == label) - 1.0


class Squeezing(nn.Module):
    """``(B, 12) -> (B, 3, 16, 16)``; its squeeze drops a batch of one as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, 24, 1)
        self.out = nn.Linear(24, 3 * 16 * 16)

    def forward(self, z: Tensor) -> Tensor:
        found = F.relu(self.stem(z[:, :, None, None])).squeeze()
        return torch.tanh(self.out(found)).view(len(z), 3, 16, 16)


class Lazy(nn.Module):
    """``(B, 12, 1, 1) -> (B, 3, 16, 16)``; its sizes are known after the first pass."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.LazyConvTranspose2d(16, 4)
        self.norm = nn.LazyBatchNorm2d()
        self.out = nn.LazyConvTranspose2d(3, 4, 4)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(4 * self.out(F.relu(self.norm(self.stem(z)))))


ONE = Dcgan()


def one_for_all() -> nn.Module:
    return ONE


class Constant(Dcgan):
    """The same image whatever it is given."""

    def forward(self, z: Tensor) -> Tensor:
        return 0 * super().forward(z)


class Integers(Dcgan):
    """Casts its images to whole numbers."""

    def forward(self, z: Tensor) -> Tensor:
        return (0.9 * super().forward(z)).long()


class Picky(Pixels):
    """A judge that fails, or gives nothing, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "always":
            raise ValueError("not these")
        if self.way == "several" and len(x) > 1:
            raise ValueError("one at a time")
        return super().forward(x) / (0 if self.way == "nothing" else 1)


def failing_judge() -> nn.Module:
    raise ZeroDivisionError


def judge_that_fails() -> nn.Module:
    return Picky("always")


def judge_of_one_image() -> nn.Module:
    return Picky("several")


def judge_of_nothing() -> nn.Module:
    return Picky("nothing")
