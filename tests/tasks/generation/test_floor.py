"""What the held-out images say of a cell, and what they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.evaluation import GenerationJudge
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.quality import judge
from tests.helpers.cells import cell, record_of

HELD_OUT = 131
"""Images of `dummy-blobs` that are held out."""


def judge_of(num_images: int) -> GenerationJudge:
    found = Workshop(Settings(num_images=num_images)).load("dummy", "shipped").judge
    assert isinstance(found, GenerationJudge)
    return found


@pytest.mark.parametrize(("generated", "of"), [(50, 50), (HELD_OUT - 1, HELD_OUT - 1), (HELD_OUT, HELD_OUT),
                                               (10_000, HELD_OUT)])  # fmt: skip
def test_the_floor_is_of_as_many_images_as_are_generated_where_there_are_so_many(generated: int, of: int) -> None:
    mine = judge_of(generated)
    held = mine.gan.data.held_out
    floor, unbiased = mine.floor().values()
    assert (len(held), floor.num_images) == (HELD_OUT, of)
    expected = frechet_distance(mine.reference.train, judge(mine.extractor, held[:of]).gaussian)
    assert floor.value == pytest.approx(expected, rel=1e-9)
    assert floor.version.endswith(f"/held-out-first{of}-as-generated" if of < HELD_OUT else "/held-out-as-generated")


def test_few_held_out_images_flag_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell's FID is between its own images and the training set; the held-out ones have a number of their own."""
    known = judge_of(50).reference
    assert known.held_out is not None
    few = replace(known.held_out, factor=np.zeros((2, len(known.held_out.mean))))
    monkeypatch.setattr(GenerationJudge, "reference", replace(known, held_out=few, floor=few))
    flags = record_of(cell(), Workshop(Settings(num_images=50))).provenance.flags
    assert "low-rank-fid" not in flags and "small-n" in flags
