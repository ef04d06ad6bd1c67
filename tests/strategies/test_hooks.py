"""Several hooks in one training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from strategies.base import Pruned
from strategies.hooks import NoHooks, Together, together
from strategies.layers import stored_weight

TRAINING: Any = SimpleNamespace()
PRUNED = Pruned(nn.Identity(), ())


class Recorder(NoHooks):
    def __init__(self, name: str, log: list[str], loss: float | None = None, pruned: Pruned | None = None) -> None:
        self.name, self.log, self.loss, self.pruned = name, log, loss, pruned
        self.count = 0

    def before_step(self, step: int, training: Any) -> None:
        self.log.append(f"before {self.name}")

    def extra_loss(self, step: int, training: Any, inputs: tuple[Tensor, ...], fake: Tensor) -> Tensor | None:
        return None if self.loss is None else torch.tensor(self.loss)

    def after_step(self, step: int, training: Any) -> Pruned | None:
        self.log.append(f"after {self.name}")
        self.count += 1
        return self.pruned

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


def test_hooks_act_in_their_order_and_losses_add_up() -> None:
    log: list[str] = []
    both = together(Recorder("a", log, 1.5), None, Recorder("b", log, pruned=PRUNED), Recorder("c", log, 2.0))
    both.before_step(0, TRAINING)
    loss = both.extra_loss(0, TRAINING, (), torch.zeros(1))
    assert loss is not None and float(loss) == 3.5
    assert both.after_step(0, TRAINING) is PRUNED
    assert log == [f"{when} {name}" for when in ("before", "after") for name in "abc"]


def test_without_any_loss_there_is_none() -> None:
    both = together(Recorder("a", []), Recorder("b", []))
    assert both.extra_loss(0, TRAINING, (), torch.zeros(1)) is None


def test_two_that_prune_in_one_step_are_a_mistake() -> None:
    both = together(Recorder("a", [], pruned=PRUNED), Recorder("b", [], pruned=PRUNED))
    with pytest.raises(RuntimeError, match="2 hooks pruned the generator after step 7"):
        both.after_step(7, TRAINING)


def test_the_state_of_each_comes_back() -> None:
    both, again = (Together(Recorder("a", []), Recorder("b", [])) for _ in range(2))
    both.hooks[1].after_step(0, TRAINING)
    again.load_state_dict(both.state_dict())
    assert [hooks.state_dict() for hooks in again.hooks] == [{"count": 0}, {"count": 1}]


def test_one_alone_stays_itself_and_none_does_nothing() -> None:
    one = Recorder("a", [])
    assert together(None, one) is one
    assert together(None).after_step(0, TRAINING) is None


def test_the_stored_weight_is_the_parameter_whatever_is_computed_from_it() -> None:
    plain, new, old = (nn.Linear(3, 2) for _ in range(3))
    spectral_norm(new)
    old_spectral_norm(old)
    assert stored_weight(plain) is plain.weight
    for layer in (plain, new, old):
        assert any(stored_weight(layer) is parameter for parameter in layer.parameters())
    with torch.no_grad():
        stored_weight(new)[0].zero_()
    assert not new.weight[0].any() and new.weight[1].any()


def test_a_weight_computed_from_several_tensors_has_no_place_for_a_zero() -> None:
    with pytest.raises(TypeError, match="computed from several tensors"):
        stored_weight(weight_norm(nn.Linear(3, 2)))
