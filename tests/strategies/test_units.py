"""The nearest prefix, the share that masks are worth, and what a report says layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strategies.base import Infeasible
from strategies.cut import LayerCut
from strategies.granularity.units import layer_cuts, masked_share, nearest
from strategies.work import work_of

SHARES = np.array([0.0, 0.125, 0.5, 0.75])


@pytest.mark.parametrize(
    ("asked", "count"), [(0.0, 0), (0.06, 0), (0.07, 1), (0.3, 1), (0.33, 2), (0.5, 2), (0.7, 3), (0.75, 3)]
)
def test_the_nearest_prefix_is_taken(asked: float, count: int) -> None:
    assert nearest(SHARES, asked, "params") == count


def test_more_than_all_units_is_infeasible() -> None:
    with pytest.raises(Infeasible) as caught:
        nearest(SHARES, 0.7500001, "macs")
    assert caught.value.maximum == 0.75 and "of macs" in str(caught.value)


class Twice(nn.Module):
    """A layer of 8 weights that is used 3 times an image, and one of 4 that is used once."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 2, bias=False), nn.Linear(2, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.b(self.a(x)[:, 0])
        return y


def test_a_mask_is_worth_its_weights_or_its_products() -> None:
    model = Twice()
    work = work_of(model, (torch.ones(1, 3, 4),))
    assert work.total == 3 * 8 + 4
    masks = {"a": torch.ones(2, 4, dtype=torch.bool), "b": torch.ones(2, 2, dtype=torch.bool)}
    assert masked_share(masks, work, "params") == masked_share(masks, work, "macs") == 0.0
    masks["a"][0] = False
    assert masked_share(masks, work, "params") == pytest.approx(4 / 12)
    assert masked_share(masks, work, "macs") == pytest.approx(12 / 28)
    masks["b"][:, 0] = False
    assert masked_share(masks, work, "params") == pytest.approx(6 / 12)
    assert masked_share(masks, work, "macs") == pytest.approx(14 / 28)


def test_products_of_no_weight_stay_whatever_is_masked() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.a(x)
            return y @ y.transpose(1, 2)

    work = work_of(Attending(), (torch.ones(1, 3, 4),))
    assert (work.total, work.outside) == (3 * 16 + 3 * 3 * 4, 36)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    assert masked_share({"a": mask}, work, "params") == 1.0
    assert masked_share({"a": mask}, work, "macs") == pytest.approx(48 / 84)


def net(hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, 2))


def test_a_report_says_what_was_there_and_what_is_left() -> None:
    assert layer_cuts(net(6), net(4), notes={"2": "why"}) == (
        LayerCut("0", "Linear", 18, 12, (6, 3), (4, 3), ""),
        LayerCut("2", "Linear", 12, 8, (2, 6), (2, 4), "why"),
    )
    assert [cut.kept for cut in layer_cuts(net(6), net(6), kept={"0": 5})] == [5, 12]


def test_of_a_layer_that_is_gone_nothing_is_left() -> None:
    pruned = net(6)
    pruned[2] = nn.Identity()
    gone = layer_cuts(net(6), pruned)[1]
    assert (gone.weights, gone.kept, gone.width, gone.kept_width) == (12, 0, (2, 6), (0, 0))


def test_a_shared_weight_is_counted_with_its_first_layer_as_long_as_any_is_left() -> None:
    def tied() -> nn.Sequential:
        model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
        model[2].weight = model[0].weight
        return model

    first, second = layer_cuts(tied(), tied())
    assert (first.weights, first.kept, first.note) == (9, 9, "")
    assert (second.weights, second.kept) == (0, 0) and second.note == "uses the weight of 0, which is counted there"
    pruned = tied()
    pruned[0] = nn.Identity()
    assert [cut.kept for cut in layer_cuts(tied(), pruned)] == [9, 0]
