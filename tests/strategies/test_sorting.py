"""A faster sort is the same sort."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from strategies.sorting import stable_order

FEW = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, float("inf"), float("-inf"), 3.5])


@given(st.lists(st.one_of(FEW, st.floats(allow_nan=False, width=32)), max_size=60))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_is_torch_s_stable_one(dtype: torch.dtype, numbers: list[float]) -> None:
    values = torch.tensor(numbers, dtype=dtype)
    assert torch.equal(stable_order(values), torch.argsort(values, stable=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_many_values_with_ties(dtype: torch.dtype) -> None:
    values = (torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 1000).round().to(dtype)
    assert torch.equal(stable_order(values), torch.argsort(values, stable=True))


def test_what_is_sorted_stays_as_it_is_and_may_need_gradients() -> None:
    values = torch.tensor([0.5, -0.0, 0.0], requires_grad=True)
    assert stable_order(values).tolist() == [1, 2, 0]
    assert values.tolist() == [0.5, -0.0, 0.0]


class Many:
    """So many float32 values, of which none is there."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def detach(self) -> None:
        raise BufferError("packed")


def test_positions_of_more_than_32_bits_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "argsort", lambda values, stable: "torch" if stable else "")
    assert stable_order(Many(2**32)) == "torch"  # type: ignore[arg-type,comparison-overlap]
    with pytest.raises(BufferError, match="packed"):
        stable_order(Many(2**32 - 1))  # type: ignore[arg-type]
