"""Distillation: G learns from what the dense generator makes of the same inputs.

All distances are taken between the pruned generator in training mode and a dense teacher in eval mode, as it is
used, and are means, so they do not depend on sizes.

- ``output``: ``mean |G(z) - G_dense(z)|`` over all pixels (Aguinaldo et al. 2019 with L1).
- ``feature``: the squared distance of what each layer but the first reads, and of the images, relative to the
  teacher's mean square, averaged over the layers (Romero et al. 2015). A student with fewer channels is compared
  with the same channels of the teacher: which ones were kept is known, so no linear map between widths is needed.
- ``dfeature``: the same relative distance between the features of the *original* discriminator, frozen, on the
  pruned and on the dense images (a perceptual loss; Yu & Pool 2020 let the trained D supervise alike).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.workloads.condition import UNCONDITIONAL, Condition
from strategies.base import Kept, NotApplicable
from strategies.hooks import NoHooks, Training
from strategies.layers import prunable_layers

Lesson = Literal["output", "feature", "dfeature"]
LESSONS: tuple[Lesson, ...] = get_args(Lesson)


@dataclass(frozen=True)
class Weights:
    """By what the distances are multiplied before they are added to the adversarial loss.

    Chosen from .1, 1, 10 and 100 on one seed, `l1-channel-global` at .7, 200 steps, by what leads. Without
    distillation `mnist-dcgan` comes to 25.4 and `mnist-mlp` to 465. *output* gives 26.1 and 459 at .1, 28.6 and 422 at
    1, 42.5 and 323 at 10; *feature* 26.9 and 462 at 1, 58.2 and 392 at 10; *dfeature* 27.3 and 609 at 1,
    76.3 and 885 at 10, and on `mnist-mlp` 484 at .1. What helps one GAN hurts the other: each factor is
    the largest that costs little.
    """

    output: float = 1.0
    feature: float = 1.0
    dfeature: float = 0.1


@contextlib.contextmanager
def reading(model: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """While open, ``found`` is filled with what each convolution and linear layer but the first called reads,
    ``(N, C, ...)``.

    The hooks are gone afterwards, so that copies of the model have none.
    """
    first: list[str] = []
    layers = prunable_layers(model)

    def note(name: str, inputs: tuple[Tensor, ...]) -> None:
        if not first:
            first.append(name)
        if name != first[0]:
            linear = isinstance(layers[name], nn.Linear)
            found[name] = inputs[0].movedim(-1, 1) if linear else inputs[0]

    with contextlib.ExitStack() as stack:
        for name, layer in layers.items():
            hook = layer.register_forward_pre_hook(lambda _, inputs, name=name: note(name, inputs))
            stack.callback(hook.remove)
        yield


def relative_distance(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], kept: Kept) -> Tensor:
    """Mean of ``mean((s - t)^2) / mean(t^2)`` over the layers that both have, on the channels that were kept.

    Args:
        student, teacher: what each layer reads, ``(N, C, ...)``; under ``""`` the output.
        kept: of layers that became smaller, the indices of the channels that are still read (``in``).

    Raises:
        NotApplicable: no layer of both has the same shape.
    """
    distances = []
    for name, seen in student.items():
        if name not in teacher:
            continue
        aim = teacher[name]
        if "in" in kept.get(name, {}):
            aim = aim.index_select(1, kept[name]["in"].to(aim.device))
        if aim.shape == seen.shape:
            seen, aim = seen.float(), aim.float()
            distances.append(F.mse_loss(seen, aim) / aim.square().mean().clamp_min(torch.finfo(torch.float32).tiny))
    if not distances:
        raise NotApplicable("distillation of features: the pruned network has no layer whose input is the dense one's")
    return torch.stack(distances).mean()


class Distillation(NoHooks):
    """The loss of one lesson, added to the generator's."""

    def __init__(
        self,
        lesson: Lesson,
        teacher: nn.Module,
        *,
        judge: nn.Module | None = None,
        condition: Condition = UNCONDITIONAL,
        kept: Callable[[], Kept] = dict,
        weights: Weights | None = None,
    ) -> None:
        """Teacher and judge (needed for `dfeature` alone) are copies of one's own: they are frozen here.

        Args:
            condition: what the judge takes besides images.
            kept: what is kept of the student's channels as it is now; a schedule cuts during the training.
        """
        if lesson == "dfeature" and judge is None:
            raise NotApplicable("distil dfeature compares features of the discriminator, and there is none")
        self.lesson, self.kept, self.condition = lesson, kept, condition
        self.teacher = teacher.eval().requires_grad_(False)
        self.judge = judge.eval().requires_grad_(False) if judge is not None else None
        self.weight: float = getattr(weights or Weights(), lesson)
        self._seen: dict[str, Tensor] = {}
        self._watching = contextlib.ExitStack()

    def before_step(self, step: int, training: Training) -> None:
        self._seen = {}
        if self.lesson == "feature":
            self._watching.enter_context(reading(training.generator, self._seen))

    def extra_loss(self, step: int, training: Training, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor:
        """The weighted distance to the teacher on this step's inputs."""
        self._watching.close()
        return self.weight * self._distance(inputs, fake)

    def _distance(self, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor:
        aims: dict[str, Tensor] = {}
        with torch.no_grad(), reading(self.teacher, aims):
            aim = self.teacher(*inputs)
        if self.lesson == "output":
            return F.l1_loss(fake.float(), aim.float())
        if self.lesson == "feature":
            return relative_distance(self._seen | {"": fake}, aims | {"": aim}, self.kept())
        assert self.judge is not None
        given = self.condition.of_inputs(inputs)
        wanted: dict[str, Tensor] = {}
        found: dict[str, Tensor] = {}
        with torch.no_grad(), reading(self.judge, wanted):
            self.judge(aim, *given)
        with reading(self.judge, found):
            self.judge(fake, *given)
        return relative_distance(found, wanted, {})
