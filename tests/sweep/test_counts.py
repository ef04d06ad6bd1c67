"""Layer by layer: what was there and what is left."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bench.base.seeds import stream
from bench.measure.coded import pack
from bench.measure.complexity import count_macs
from bench.measure.footprint import footprint
from bench.sweep.cell import make
from bench.sweep.counts import _achieved_params, architecture_of, count, layers_of
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered
from strategies.base import Pruned
from strategies.cut import LayerCut
from tests.helpers.cells import cell


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))


def left(generator: nn.Module, pruned: Pruned | None) -> dict[str, tuple[Any, ...]]:
    found = layers_of(network(), Recovered(generator, pruned))
    return {cut.name: (cut.kind, cut.weights, cut.kept, cut.width, cut.kept_width, cut.note) for cut in found}


def test_of_a_dense_network_everything_is_left() -> None:
    assert left(network(), None) == {
        "0": ("Linear", 12, 12, (4, 3), (4, 3), ""),
        "1": ("Linear", 16, 16, (4, 4), (4, 4), ""),
        "2": ("Linear", 16, 16, (4, 4), (4, 4), ""),
        "3": ("Linear", 8, 8, (2, 4), (2, 4), ""),
    }


def test_masks_shared_weights_and_layers_that_are_gone_are_counted_by_what_is_left_of_them() -> None:
    small = copy.deepcopy(network())
    small[1] = nn.Identity()
    mask = torch.ones(4, 3, dtype=torch.bool)
    mask[0] = False
    cuts = [LayerCut(name="3", kind="Linear", weights=8, kept=8, width=(2, 4), kept_width=(2, 4), note="stays")]
    pruned = Pruned(small, tuple(cuts), masks={"0": mask}, tied={"2": "0"})
    assert left(small, pruned) == {
        "0": ("Linear", 12, 9, (4, 3), (4, 3), ""),
        "1": ("Linear", 16, 0, (4, 4), (0, 0), ""),
        "2": ("Linear", 16, 0, (4, 4), (4, 4), ""),
        "3": ("Linear", 8, 8, (2, 4), (2, 4), "stays"),
    }


def test_of_a_smaller_layer_its_own_weights_are_left() -> None:
    small = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    found = left(small, Pruned(small, ()))
    assert [found[name][2] for name in "0123"] == [6, 8, 16, 8]
    assert [found[name][4] for name in "01"] == [(2, 3), (4, 2)]


# A whole cell.


@pytest.mark.parametrize("strategy", ["l1-weight-global", "l1-channel-global", "dense"])
def test_a_cell_is_counted_on_the_network_itself(strategy: str, shop: Workshop) -> None:
    thing = cell(strategy)
    todo = shop.resolve(thing)
    recovered = make(todo, shop).recovered
    found = count(todo, recovered, shop)
    one = todo.gan.workload.inputs.sample(1, stream(0, "eval"))
    size, macs = footprint(recovered.generator), count_macs(recovered.generator, one)
    dense = todo.gan.checkpoint.generator
    assert {name: number.value for name, number in found.numbers.items() if name != "macs_fvcore"} == {
        "params": size.params,
        "params_nonzero": size.params_nonzero,
        "bytes": size.bytes_dense,
        "bytes_bitmask": size.bytes_bitmask,
        "macs_dense": macs.dense,
        "macs_effective": macs.effective,
    }
    assert {(n.direction, n.kind) for n in found.numbers.values()} == {("lower", "exact")}
    assert found.achieved_params == pytest.approx(1 - size.weights_nonzero / footprint(dense).weights)
    assert found.achieved_macs == pytest.approx(1 - macs.effective / count_macs(dense, one).dense)
    assert (found.achieved_params > 0.4) is (strategy != "dense")
    assert all(flag.partition(":")[0] in ("uncounted", "fvcore-unsupported") for flag in found.flags)


def test_levels_are_counted_in_their_codes(shop: Workshop) -> None:
    todo = shop.resolve(cell("l1-quantised-16"))
    recovered = make(todo, shop).recovered
    assert recovered.pruned is not None and recovered.pruned.codes
    coded = count(todo, recovered, shop).numbers["bytes_coded"]
    assert coded.value == len(pack(recovered.generator, recovered.pruned.codes)) and coded.unit == "bytes"


def test_weights_that_are_taken_from_another_layer_are_gone() -> None:
    size = footprint(network())
    assert _achieved_params(network(), size, {}) == 0.0
    assert _achieved_params(network(), size, {"1": "0"}) == pytest.approx(16 / 52)
    with torch.no_grad():
        half = network()
        half[0].weight[:2] = 0.0
        half[1].weight.zero_()
    assert _achieved_params(network(), footprint(half), {"1": "0"}) == pytest.approx((6 + 16) / 52)


def test_an_architecture_is_its_widths_and_who_made_it(shop: Workshop) -> None:
    masked, dense, small = (
        architecture_of(todo.gan.workload, make(todo, shop).recovered)
        for todo in map(shop.resolve, (cell("l1-weight-global"), cell("dense"), cell("l1-channel-global")))
    )
    assert masked.hash == dense.hash != small.hash and len(small.hash) == 16
    assert masked.kept == dense.kept == {} and small.kept and small.bypassed == []
    assert all(max(indices) < dense.widths[name][0] for name, sides in small.kept.items()
               for side, indices in sides.items() if side == "out" and name in dense.widths)  # fmt: skip
    mine, other = (SimpleNamespace(own=SimpleNamespace(code=code)) for code in "ab")
    plain = Recovered(network(), None)
    assert architecture_of(mine, plain).hash != architecture_of(other, plain).hash  # type: ignore[arg-type]
