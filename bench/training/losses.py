"""Adversarial losses on discriminator logits, in their numerically safe forms."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.workloads.recipe import LossName


def generator_loss(name: LossName, fake_logits: Tensor) -> Tensor:
    """What G minimises, a scalar.

    ``non-saturating``: ``-E[log D(G(z))]`` with ``D = sigmoid(logit)``, which is
    ``E[softplus(-logit)]`` (Goodfellow et al. 2014, section 3). ``hinge``: ``-E[logit]`` (Lim & Ye 2017).
    """
    if name == "non-saturating":
        return F.softplus(-fake_logits).mean()
    if name == "hinge":
        return -fake_logits.mean()
    raise ValueError(f"no adversarial loss {name!r}")


def discriminator_loss(name: LossName, real_logits: Tensor, fake_logits: Tensor, fake_weight: float = 1.0) -> Tensor:
    """What D minimises, a scalar; ``fake_weight`` is the lambda before the term of the generated images.

    ``non-saturating``: ``-E[log D(x)] - lambda E[log(1 - D(G(z)))]``, which is
    ``E[softplus(-real)] + lambda E[softplus(fake)]``. ``hinge``:
    ``E[max(0, 1 - real)] + lambda E[max(0, 1 + fake)]``.
    """
    if name == "non-saturating":
        return F.softplus(-real_logits).mean() + fake_weight * F.softplus(fake_logits).mean()
    if name == "hinge":
        return F.relu(1 - real_logits).mean() + fake_weight * F.relu(1 + fake_logits).mean()
    raise ValueError(f"no adversarial loss {name!r}")
