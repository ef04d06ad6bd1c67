"""When what was found of a network's channels is all that there is to find."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from strategies.granularity.coupling import OUTPUT, _made, _offered, _settled, couple

INPUTS = (torch.ones(1, 3),)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def test_all_is_found_where_every_layer_is_offered_but_the_one_that_makes_the_output() -> None:
    found = couple(network(), INPUTS)
    assert _made(network(), found) == {"0": 6, "2": 4}
    assert _offered(network(), found) == 10
    assert found.dense == {"4": OUTPUT}
    assert _settled(network(), found)
    assert not _settled(network(), replace(found, dense={"4": "another reason"}))
    assert not _settled(network(), replace(found, dense={**found.dense, "2": OUTPUT}))


def test_not_all_is_found_where_another_layer_is_left() -> None:
    found = couple(network(), INPUTS)
    fewer = replace(found, groups=found.groups[:1])
    assert _made(network(), fewer) == {"0": 6} and _offered(network(), fewer) == 6
    assert not _settled(network(), fewer)
