"""One adversarial training loop, for the built-in GANs and for pruned generators alike."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.base.layout import channels_last
from bench.base.seeds import derive, stream
from bench.training.ema import Ema
from bench.training.losses import discriminator_loss, generator_loss
from bench.workloads.condition import UNCONDITIONAL, Condition
from bench.workloads.recipe import TrainingSpec
from strategies.base import Kept, Pruned
from strategies.hooks import Hooks, NoHooks
from strategies.slicing import cuts, shrink


@dataclass(frozen=True)
class StepStats:
    """What one step measured: losses, the share of real and generated images that D told apart, its mean logits.

    All but the step and ``loss_extra`` are NaN in a training without D.
    """

    step: int
    loss_g: float
    loss_d: float
    accuracy_real: float
    accuracy_fake: float
    logit_real: float
    logit_fake: float
    loss_extra: float = 0.0
    """What hooks added to G's loss (distillation)."""
    d_density: float = 1.0
    """The share of D's weights that is not held at zero."""
    balance: float | None = None
    """The balance ratio that D's density followed last; None: it does not, or not yet."""


_NOTHING_SEEN = dict.fromkeys(
    ("loss_g", "loss_d", "accuracy_real", "accuracy_fake", "logit_real", "logit_fake"), math.nan
)
"""Of a step without D."""


def translate(images: Tensor, moves: Tensor, reach: int) -> Tensor:
    """Each image ``(N, C, H, W)`` moved by its own ``reach - moves`` pixels (down, right); -1 (black) moves in."""
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4, value=-1.0)
    rows = moves[:, 0, None] + torch.arange(height, device=images.device)
    columns = moves[:, 1, None] + torch.arange(width, device=images.device)
    which = torch.arange(n, device=images.device)[:, None, None]
    # Indexing with the channels in between moves them to the end: (N, H, W, C).
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


class GanTraining:
    """The state of one training: G, D, their optimizers, G's average and the step reached.

    Everything random is a function of ``(seed, step)``, so `state_dict` needs no random state and a
    resumed training is bit-identical to an undisturbed one on the same machine.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        spec: TrainingSpec,
        *,
        images: Tensor,
        sample: Callable[[int, torch.Generator], tuple[Tensor, ...]],
        steps: int,
        seed: int,
        device: torch.device | str = "cpu",
        hooks: Hooks | None = None,
        train_discriminator: bool = True,
        condition: Condition = UNCONDITIONAL,
        labels: Tensor | None = None,
    ) -> None:
        """``images`` are uint8 ``(N, C, H, W)`` training images; ``sample(n, rng)`` draws G's inputs.

        Without a discriminator nothing is adversarial: G learns from what the hooks add to its loss alone.

        Args:
            condition: what the discriminator takes besides images.
            labels: int64 ``(N,)``, the images' classes; for a condition alone.
        """
        self.spec, self.steps, self.seed = spec, steps, seed
        self.device = torch.device(device)
        self.images, self.sample = images, sample
        self.condition = condition
        self.labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        self.train_discriminator = train_discriminator
        self.hooks: Hooks = hooks or NoHooks()
        self.generator = self._placed(generator)
        self.adversarial = discriminator is not None
        self.discriminator = self._placed(nn.Identity() if discriminator is None else discriminator)
        self.step_count = 0
        self.last: StepStats | None = None
        self.kept: Kept | None = None
        """What is left of a network that was cut; None: it has its full size."""
        self.ema = Ema(self.generator, spec.ema_decay)
        self.lr = {"g": spec.lr, "d": spec.lr if spec.lr_discriminator is None else spec.lr_discriminator}
        self.opt_g: torch.optim.Optimizer = self._adam(self.generator, self.lr["g"])
        self.opt_d: torch.optim.Optimizer = self._adam(self.discriminator, self.lr["d"])
        self._epoch: tuple[int, Tensor] | None = None

    def _placed(self, model: nn.Module) -> nn.Module:
        placed = model.to(self.device)
        return channels_last(placed) if self.spec.channels_last else placed.to(memory_format=torch.contiguous_format)

    def _adam(self, model: nn.Module, lr: float) -> torch.optim.Adam:
        # As a group: unlike a bare list it may be empty, as the stand-in of a missing D is.
        return torch.optim.Adam([{"params": list(model.parameters())}], lr=lr, betas=self.spec.betas, fused=True)

    @property
    def batch_size(self) -> int:
        """Images of one step: those of the spec, or all where there are fewer."""
        return min(self.spec.batch_size, len(self.images))

    @property
    def average(self) -> nn.Module:
        """The moving average of the generator."""
        return self.ema.model

    def restart(self) -> None:
        """Fresh optimizers and a fresh moving average, from the networks as they are now."""
        self.ema = Ema(self.generator, self.spec.ema_decay)
        self.opt_g = self._adam(self.generator, self.lr["g"])
        self.opt_d = self._adam(self.discriminator, self.lr["d"])

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.spec.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def _real_batch(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The training images of ``step``, in [-1, 1], and what D takes with them.

        Each epoch is a fresh permutation and an incomplete last batch is dropped: a function of the seed
        and the step alone, so every strategy with this seed sees the same images in the same order.
        """
        size = self.batch_size
        per_epoch = len(self.images) // size
        epoch, position = divmod(step, per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            order = torch.randperm(len(self.images), generator=stream(self.seed, "train", "epoch", epoch))
            self._epoch = (epoch, order)
        chosen = self._epoch[1][position * size : (position + 1) * size]
        real = self.images[chosen].to(self.device, torch.float32).div_(127.5).sub_(1)
        real = real.contiguous(memory_format=torch.channels_last) if self.spec.channels_last else real
        return real, tuple(x.to(self.device) for x in self.condition.of_labels(self.labels[chosen]))

    def _moved(self, images: Tensor, role: str) -> Tensor:
        reach = self.spec.shift
        if not reach:
            return images
        rng = stream(self.seed, "train", "shift", role, self.step_count)
        moves = torch.randint(0, 2 * reach + 1, (len(images), 2), generator=rng).to(images.device)
        return translate(images, moves, reach)

    def _decay(self, step: int) -> float:
        return 1.0 if self.spec.lr_decay == "none" else min(1.0, 2 * (1 - step / self.steps))

    def step(self) -> StepStats:
        """One step of D on real and generated images, then one of G, then its average."""
        step = self.step_count
        # Dropout draws from torch's global state: tie it to the step as everything else is.
        torch.manual_seed(derive(self.seed, "train", "dropout", step))
        self.hooks.before_step(step, self)
        for optimizer, lr in ((self.opt_g, self.lr["g"]), (self.opt_d, self.lr["d"])):
            for group in optimizer.param_groups:
                group["lr"] = lr * self._decay(step)
        self.generator.train()
        self.discriminator.train()
        inputs = self.sample(self.batch_size, stream(self.seed, "train", "inputs", step))
        inputs = tuple(x.to(self.device) for x in inputs)
        with self._autocast():
            fake = self.generator(*inputs)
        given = self.condition.of_inputs(inputs)
        seen = self._judge(step, fake.detach(), given) if self.adversarial else _NOTHING_SEEN

        self.discriminator.requires_grad_(False)
        with self._autocast():
            terms: dict[str, Tensor] = {}
            if self.adversarial:
                logits = self.discriminator(self._moved(fake, "generator"), *given).float()
                terms["loss_g"] = generator_loss(self.spec.loss, logits)
            extra = self.hooks.extra_loss(step, self, inputs, fake)
            if extra is not None:
                terms["loss_extra"] = extra
        if not terms:
            raise ValueError("a training without D needs hooks that give G a loss")
        self.opt_g.zero_grad(set_to_none=True)
        total: Tensor = functools.reduce(torch.add, terms.values())
        total.backward()
        self.opt_g.step()
        self.discriminator.requires_grad_(True)

        self.ema.update(self.generator)
        self.last = StepStats(step, **(seen | {name: term.item() for name, term in terms.items()}))
        pruned = self.hooks.after_step(step, self)
        if pruned is not None and pruned.physical:
            self._continue_with(pruned)
        self.step_count = step + 1
        return self.last

    def _judge(self, step: int, fake: Tensor, given: tuple[Tensor, ...]) -> dict[str, float]:
        """One step of D on real images and on ``fake``, made of what was ``given``, and what it measured."""
        real, theirs = self._real_batch(step)
        with self._autocast():
            real_logits = self.discriminator(self._moved(real, "real"), *theirs).float()
            fake_logits = self.discriminator(self._moved(fake, "fake"), *given).float()
            loss_d = discriminator_loss(self.spec.loss, real_logits, fake_logits, self.spec.fake_weight)
        if self.train_discriminator:
            self.opt_d.zero_grad(set_to_none=True)
            loss_d.backward()
            self.opt_d.step()
        return {
            "loss_d": loss_d.item(),
            "accuracy_real": (real_logits > 0).float().mean().item(),
            "accuracy_fake": (fake_logits < 0).float().mean().item(),
            "logit_real": real_logits.mean().item(),
            "logit_fake": fake_logits.mean().item(),
        }

    def _continue_with(self, pruned: Pruned) -> None:
        """Go on training the smaller network: its average and Adam's moments are cut as its weights were."""
        select = cuts(self.generator, pruned.kept)
        moments = {name: self.opt_g.state[parameter] for name, parameter in self.generator.named_parameters()}
        self.ema.model = shrink(self.ema.model, pruned.kept)
        self.generator = self._placed(pruned.generator)
        self.opt_g = self._adam(self.generator, self.lr["g"])
        for name, parameter in self.generator.named_parameters():
            self.opt_g.state[parameter] = {
                key: select[name](value) if name in select and value.ndim else value
                for key, value in moments[name].items()
            }
        lay_out(self.opt_g)
        self.kept = pruned.kept

    def state_dict(self) -> dict[str, Any]:
        """Everything that a bit-identical continuation needs; plain tensors, numbers, texts, lists and dicts."""
        return {
            "step": self.step_count,
            "last": None if self.last is None else asdict(self.last),
            "kept": None if self.kept is None else {name: dict(sides) for name, sides in self.kept.items()},
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self.ema.model.state_dict(),
            "ema_updates": self.ema.updates,
            "opt_g": self.opt_g.state_dict(),
            "opt_d": self.opt_d.state_dict(),
            "hooks": self.hooks.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`, in a training made with the same arguments that has not done a step."""
        kept = state.get("kept")
        if kept is not None:  # it was cut on the way: make the networks of that size, their values come below
            self._continue_with(Pruned(shrink(self.generator, kept), (), kept=kept))
        self.step_count = state["step"]
        self.last = None if state.get("last") is None else StepStats(**state["last"])
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.ema.model.load_state_dict(state["ema"])
        self.ema.updates = state["ema_updates"]
        for optimizer, saved in ((self.opt_g, state["opt_g"]), (self.opt_d, state["opt_d"])):
            optimizer.load_state_dict(saved)
            lay_out(optimizer)
        self.hooks.load_state_dict(state.get("hooks", {}))


def lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give moments the memory layout of their parameters: the fused Adam pairs them by place in memory, not by index.

    Cutting a channels-last moment, or reading one from a file, leaves it in the default layout.
    """
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
