"""The second-order distance to the dense output, by hand; see `hand` for the network."""

from __future__ import annotations

import pytest
import torch

from strategies.base import Scores
from strategies.criteria import reconstruct, reconstruction
from strategies.criteria.reconstruction import projected
from tests.strategies.criteria.hand import KINDS, Z1, Z2, Net, context
from tests.strategies.nets import context_of, latents


def channels(raw: Scores, kind: str = "linear") -> list[float]:
    return reconstruct.of_channels(raw["first"], 1 if kind == "transposed" else 0).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_for_one_output_value_the_score_is_exact(kind: str) -> None:
    # dx/dW_c = V_c z where the unit is on, so w dx/dw with Z1: .5 (1, 4); -.25 (-2, 5); 0. Sums 2.5, -.75, 0.
    raw = projected(context(Net(kind)), count=3, size=1)
    assert channels(raw, kind) == pytest.approx([6.25, 0.5625, 0.0], rel=1e-6)
    squares = reconstruct.of_weights(raw["first"]).flatten(1).squeeze()
    squares = (squares.T if kind == "transposed" else squares).flatten()
    torch.testing.assert_close(squares, torch.tensor([0.25, 4.0, 0.25, 1.5625, 0.0, 0.0]))


def test_it_is_the_distance_that_removing_a_unit_behind_a_linear_output_makes() -> None:
    model = Net().eval()
    dense = model(torch.tensor([Z1])).detach()
    with torch.no_grad():
        model.first.weight[0] = 0.0
    without = model(torch.tensor([Z1])).detach()
    assert channels(projected(context(), 1, 1))[0] == pytest.approx(float((without - dense) ** 2), rel=1e-6)


def test_samples_of_a_batch_do_not_cancel() -> None:
    # Unit 0 moves x by 2.5 with Z1 and by 1 with Z2: in the mean (6.25 + 1) / 2; one projection is 3.625 +- 2.5.
    found = channels(projected(context(Net(), Z1, Z2), count=2000, size=2))[0]
    assert found == pytest.approx(3.625, abs=4 * 2.5 / 2000**0.5)


def test_the_first_order_term_vanishes_at_the_dense_network() -> None:
    """Why the criterion is of second order: the gradient of the squared distance is zero."""
    model = Net()
    z = torch.tensor([Z1])
    dense = model(z).detach()
    ((model(z) - dense) ** 2).sum().backward()
    assert model.first.weight.grad is not None and not model.first.weight.grad.any()


def test_several_output_values_add_up() -> None:
    # V = [[1, 0], [2, 3]], W = [[1], [1]], z = 1: removing unit 0 moves x by (1, 2), unit 1 by (0, 3).
    model = Net("linear", torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0, 0.0], [2.0, 3.0]]))
    found = channels(projected(context(model, (1.0,)), count=4000, size=1))
    # One projection of unit 0 is (1 v1 + 2 v2)^2 = 5 + 4 v1 v2; of unit 1 always 9.
    assert found[0] == pytest.approx(5, abs=4 * 4 / 4000**0.5)
    assert found[1] == pytest.approx(9, rel=1e-6)


def test_a_large_generator_gets_fewer_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(reconstruct(context())["first"]) == 32
    monkeypatch.setattr(reconstruction, "BYTES", 9 * 4 * 10)  # nine weights of four bytes, ten times
    assert len(reconstruct(context())["first"]) == 10
    monkeypatch.setattr(reconstruction, "BYTES", 1)
    assert len(reconstruct(context())["first"]) == 4


def test_the_signs_come_from_the_prune_stream() -> None:
    inputs = latents("dummy", 300)[0]

    def raw(seed: int) -> Scores:
        found = context_of("dummy", seed)
        object.__setattr__(found, "draw_inputs", lambda n, rng: (inputs[:n],))
        return reconstruct(found)

    assert torch.equal(raw(1)["net.0"], raw(1)["net.0"])
    assert not torch.equal(raw(1)["net.0"], raw(2)["net.0"])
