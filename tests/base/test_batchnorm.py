"""Recomputed BatchNorm statistics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from bench.base.batchnorm import batchnorms, recalibrate


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(), nn.Flatten(), nn.BatchNorm1d(12)
        )
    return model.double().eval()


def batches(count: int, size: int = 50) -> list[tuple[Tensor, ...]]:
    whole = torch.randn(count * size, 2, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [(part,) for part in (whole * 3 + 1).split(size)]


def test_the_statistics_of_one_batch_are_those_of_all_its_activations() -> None:
    model = network()
    ((images,),) = batches(1)
    assert recalibrate(model, [(images,)])
    activations = model[0](images)
    torch.testing.assert_close(model[1].running_mean, activations.mean((0, 2, 3)))
    torch.testing.assert_close(model[1].running_var, activations.var((0, 2, 3)))


def test_the_mean_over_equal_batches_is_that_of_all_activations_and_the_variance_the_mean_of_theirs() -> None:
    model = network()
    parts = batches(4)
    recalibrate(model, parts)
    activations = [model[0](*part) for part in parts]
    torch.testing.assert_close(model[1].running_mean, torch.cat(activations).mean((0, 2, 3)))
    torch.testing.assert_close(model[1].running_var, torch.stack([a.var((0, 2, 3)) for a in activations]).mean(0))


def test_a_later_layer_sees_what_the_layers_before_it_give_for_each_batch() -> None:
    model = network()
    (part,) = batches(1)
    recalibrate(model, [part])
    normalised = nn.functional.batch_norm(
        model[0](*part), None, None, model[1].weight, model[1].bias, training=True, eps=model[1].eps
    )
    torch.testing.assert_close(model[4].running_mean, normalised.flatten(1).mean(0))


def test_what_the_statistics_were_before_does_not_matter() -> None:
    one, other = network(), network()
    for layer in batchnorms(other):
        layer.running_mean.fill_(1e6)  # type: ignore[union-attr]
        layer.num_batches_tracked.fill_(1000)  # type: ignore[union-attr]
    recalibrate(one, batches(3))
    recalibrate(other, batches(3))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_parameters_stay_bit_equal() -> None:
    model = network()
    before = [p.clone() for p in model.parameters()]
    recalibrate(model, batches(2))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_momenta_are_restored(training: bool) -> None:
    model = network().train(training)
    model[2].train(not training)
    recalibrate(model, batches(1))
    assert [m.training for m in model] == [training, training, not training, training, training]
    assert [layer.momentum for layer in batchnorms(model)] == [0.3, 0.1]


def test_modes_and_momenta_are_restored_when_a_batch_fails() -> None:
    def failing() -> Iterator[tuple[Tensor, ...]]:
        yield from batches(1)
        raise OSError("no more")

    model = network()
    with pytest.raises(OSError, match="no more"):
        recalibrate(model, failing())
    assert not any(m.training for m in model.modules())
    assert [layer.momentum for layer in batchnorms(model)] == [0.3, 0.1]


def test_dropout_is_off_while_statistics_are_taken() -> None:
    model = network()
    recalibrate(model, batches(1))
    again = [value.clone() for value in model.buffers()]
    recalibrate(model, batches(1))
    assert all(torch.equal(a, b) for a, b in zip(again, model.buffers(), strict=True))


def test_a_model_without_batchnorm_is_left_alone_and_never_run() -> None:
    class Untouchable(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("it was run")

    assert not recalibrate(Untouchable(1, 1), [(torch.zeros(1, 1),)])


def test_a_batchnorm_without_running_statistics_has_nothing_to_recalibrate() -> None:
    assert batchnorms(nn.BatchNorm1d(2, track_running_stats=False)) == []
    assert not recalibrate(nn.BatchNorm1d(2, track_running_stats=False), [])
