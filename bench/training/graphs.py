"""The adversarial loop on a GPU with each step launched as a whole.

A step of a small GAN is thousands of small kernels, and Python takes longer to launch them than the GPU to run them.
So the part of a step that runs on the GPU is recorded once as a CUDA graph and launched again for every step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.base.seeds import derive, stream
from bench.training.loop import GanTraining, StepStats, translate
from bench.training.losses import discriminator_loss, generator_loss
from strategies.hooks import NoHooks

ORDINARY_STEPS = 4
"""Steps before the recording: optimizers make their state in them, libraries choose their kernels."""

MEASURED = ("loss_g", "loss_d", "accuracy_real", "accuracy_fake", "logit_real", "logit_fake")


class GraphedTraining(GanTraining):
    """`GanTraining` with the same images, inputs, order and rates in each step; for G and D without hooks, on CUDA."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.device.type != "cuda" or not self.adversarial or not self.train_discriminator:
            raise ValueError("a recorded training needs CUDA and a discriminator that is trained")
        if type(self.hooks) is not NoHooks:
            raise ValueError("hooks act between the kernels of a step: they cannot be recorded")
        self._side = torch.cuda.Stream(self.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._done = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._real: tuple[Tensor, ...] = ()
        """A batch of real images and what D takes with them."""
        self._moves: dict[str, Tensor] = {}
        self._seen = torch.empty(0)

    def step(self) -> StepStats:
        """One step of D and of G; the first few as `GanTraining` does them."""
        if self._graph is None and self._done < ORDINARY_STEPS:
            self._done += 1
            self._side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self._side):
                stats = super().step()
            torch.cuda.current_stream(self.device).wait_stream(self._side)
            return stats
        if self._graph is None:
            self._graph = self._recorded()
        step = self.step_count
        torch.manual_seed(derive(self.seed, "train", "dropout", step))
        for optimizer, lr in ((self.opt_g, self.lr["g"]), (self.opt_d, self.lr["d"])):
            for group in optimizer.param_groups:
                group["lr"].fill_(lr * self._decay(step))
        self._fill(step)
        self._graph.replay()
        self.ema.update(self.generator)
        self.last = StepStats(step, **dict(zip(MEASURED, self._seen.tolist(), strict=True)))
        self.step_count = step + 1
        return self.last

    def _drawn(self, step: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], dict[str, Tensor]]:
        """G's inputs, the real batch, and how far images are moved."""
        inputs = self.sample(self.batch_size, stream(self.seed, "train", "inputs", step))
        images, given = self._real_batch(step)
        reach, size = self.spec.shift, (self.batch_size, 2)
        moves = {
            role: torch.randint(0, 2 * reach + 1, size, generator=stream(self.seed, "train", "shift", role, step))
            for role in ("real", "fake", "generator")
            if reach
        }
        return inputs, (images, *given), moves

    def _fill(self, step: int) -> None:
        """Put what ``step`` needs where the recorded kernels read it."""
        inputs, real, moves = self._drawn(step)
        for place, drawn in zip((*self._inputs, *self._real), (*inputs, *real), strict=True):
            place.copy_(drawn)
        for role, places in self._moves.items():
            places.copy_(moves[role])

    def _recorded(self) -> torch.cuda.CUDAGraph:
        """The kernels of one step. Recording runs none of them."""
        inputs, real, moves = self._drawn(self.step_count)
        self._inputs = tuple(x.to(self.device, copy=True) for x in inputs)
        self._real = tuple(x.to(self.device, copy=True) for x in real)
        self._moves = {role: x.to(self.device, copy=True) for role, x in moves.items()}
        for optimizer in (self.opt_g, self.opt_d):
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["capturable"] = True
                group["lr"] = torch.tensor(float(group["lr"]), device=self.device)
        self.generator.train()
        self.discriminator.train()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self.device)
        with torch.cuda.graph(graph, stream=self._side):
            self._seen = self._computed()
        return graph

    def _computed(self) -> Tensor:
        """One step of D, then one of G, as `GanTraining.step`; what `MEASURED` names, ``(6,)``."""
        images, *theirs = self._real
        given = self.condition.of_inputs(self._inputs)
        with self._autocast():
            fake = self.generator(*self._inputs)
        with self._autocast():
            real_logits = self.discriminator(self._moved(images, "real"), *theirs).float()
            fake_logits = self.discriminator(self._moved(fake.detach(), "fake"), *given).float()
            loss_d = discriminator_loss(self.spec.loss, real_logits, fake_logits, self.spec.fake_weight)
        self.opt_d.zero_grad(set_to_none=True)
        loss_d.backward()
        self.opt_d.step()
        self.discriminator.requires_grad_(False)
        with self._autocast():
            logits = self.discriminator(self._moved(fake, "generator"), *given).float()
            loss_g = generator_loss(self.spec.loss, logits)
        self.opt_g.zero_grad(set_to_none=True)
        loss_g.backward()
        self.opt_g.step()
        self.discriminator.requires_grad_(True)
        told = (real_logits > 0).float().mean(), (fake_logits < 0).float().mean()
        return torch.stack([loss_g, loss_d, *told, real_logits.mean(), fake_logits.mean()]).detach()

    def _moved(self, images: Tensor, role: str) -> Tensor:
        if role in self._moves:
            return translate(images, self._moves[role], self.spec.shift)
        return super()._moved(images, role)

    def state_dict(self) -> dict[str, Any]:
        """As that of `GanTraining`, which can continue from it, on the CPU too."""
        state = super().state_dict()
        for name in ("opt_g", "opt_d"):
            groups = [{**g, "lr": float(g["lr"]), "capturable": False} for g in state[name]["param_groups"]]
            state[name] = {**state[name], "param_groups": groups}
        return state
