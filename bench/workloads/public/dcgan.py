"""DCGAN (Radford et al. 2016), 64 x 64: files of PyTorch's own example (pytorch/examples, ``dcgan``).

The example saves plain state dicts, ``netG_epoch_24.pth`` and ``netD_epoch_24.pth``. The networks are those of the
workload `dcgan-64`, which has the example's names already.
"""

from __future__ import annotations

from torch import nn

from bench.workloads.networks import Dcgan64Discriminator, Dcgan64Generator


def generator(nz: int = 100, ngf: int = 64, nc: int = 3) -> nn.Module:
    """``(B, nz)`` or ``(B, nz, 1, 1) -> (B, nc, 64, 64)`` in [-1, 1]; 3,576,704 parameters. The example's options."""
    return Dcgan64Generator(latent=nz, channels=ngf, colours=nc)


def discriminator(ndf: int = 64, nc: int = 3) -> nn.Module:
    """``(B, nc, 64, 64) -> (B,)`` logits: the example's without its sigmoid, so ``output = "logits"``."""
    return Dcgan64Discriminator(channels=ndf, colours=nc)
