"""Noisy numbers by what their images contribute: estimates by hand, and what stands where there are none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from bench.experiments.places import Place
from bench.gate.compare import compare
from bench.gate.sides import Side
from bench.gate.verdicts import Result, Row
from bench.records.contributions import CellContributions
from bench.statistics import Contributions
from tests.gate.sides import GATE, PLACE, TERMS, cell, contents, side

NOTHING = np.zeros(0)
BASE_FID, HEAD_FID = (10.0, 11.0, 12.0), (12.0, 13.5, 14.0)
ERROR = 0.005
"""Of the whole comparison; one row differs, so all of it is that row's."""


def contributions(scale: float, count: int = 50) -> Contributions:
    """``count`` images that contribute ``scale`` and ``-scale`` in turn: the variance is N / (N - 1) scale^2 / N."""
    return Contributions(count, scale * np.tile([1.0, -1.0], count // 2), NOTHING, NOTHING)


def with_images(
    which: Side,
    scales: Mapping[str, float],
    *,
    inputs: str = "z",
    seeds: tuple[int, ...] = (0, 1, 2),
    place: Place = PLACE,
    count: int = 50,
) -> Side:
    """The side with contributions to the numbers of the pruned cell."""
    found = {f"{name}[judge]": contributions(scale, count) for name, scale in scales.items()}

    def images(asked: Place, seed: int) -> CellContributions | None:
        return CellContributions(f"{inputs} {seed}", found) if asked == place and seed in seeds else None

    return replace(which, images=images)


def sides(varies: str = "eval", head: tuple[float, ...] = HEAD_FID, **more: Any) -> tuple[Side, Side]:
    """FID 10, 11, 12 against 12, 13.5, 14; each image of HEAD contributes .9, of BASE .4, to FID without its bias."""
    base = with_images(side(cell(fid=BASE_FID, varies=varies), **more), {"fid-inf": 0.4, "is": 0.3})
    return base, with_images(side(cell(fid=head, varies=varies), **more), {"fid-inf": 0.9, "is": 0.3})


def fid(result: Result, metric: str = "fid[judge]") -> Row:
    (found,) = [row for row in result.rows if row.cell == PLACE.label and row.metric == metric]
    return found


def test_where_nothing_else_is_drawn_the_images_are_all_of_the_error() -> None:
    """What is tested is HEAD - 1.05 BASE, to which an image contributes .9 - 1.05 x .4 = .48."""
    found = fid(compare(*sides()))
    error = 0.48 * math.sqrt(1 / 49) / math.sqrt(3)
    difference = np.mean(HEAD_FID) - np.mean(BASE_FID)
    reach = -ndtri(ERROR) * error
    assert (found.verdict, found.n) == ("regression", 3)
    assert found.change == pytest.approx(difference / 11)
    assert found.low == pytest.approx((difference - reach) / 11)
    assert found.high == pytest.approx((difference + reach) / 11)


def test_calibration_multiplies_their_variance_by_a_moderated_ratio() -> None:
    """S^2 of 12 - 10.5, 13.5 - 11.55, 14 - 12.6 over v = .48^2 / 49, with a ratio of 1.5 worth 6 degrees."""
    prior = {"fid": {"sd": 0.02, "degrees": 4.0, "excess": 1.5, "excess_degrees": 6.0}}
    found = fid(compare(*sides("calibrate+eval", gate=GATE | {"prior": prior})))
    v = 0.48**2 / 49
    ratio = (6 * 1.5 + 2 * np.var([1.5, 1.95, 1.4], ddof=1) / v) / 8
    reach = -stdtrit(8, ERROR) * math.sqrt(v * ratio / 3)
    assert found.low == pytest.approx((np.mean(HEAD_FID) - 11 - reach) / 11)


def test_where_networks_are_drawn_the_spread_of_the_seeds_counts_with_the_prior_and_never_less_than_the_images() -> (
    None
):
    logs = np.log(HEAD_FID) - np.log(BASE_FID)
    moderated = (4 * 0.02**2 + 2 * logs.var(ddof=1)) / 6
    low = logs.mean() + stdtrit(6, ERROR) * math.sqrt(moderated / 3)
    assert fid(compare(*sides("prune+eval"))).low == pytest.approx(math.expm1(low))
    base, head = sides("prune+eval")
    loud = with_images(head, {"fid-inf": 90.0, "is": 0.3})
    assert (fid(compare(base, loud)).low or 0) < -0.5


def test_the_logarithm_of_a_score_is_tested_as_it_is() -> None:
    base, head = sides(head=BASE_FID)
    better = {"fid": BASE_FID, "inception": (5.5, 5.5, 5.5)}
    found = fid(compare(base, replace(head, contents=contents(cell(**better)))), "is[judge]")
    assert found.verdict == "improved"  # equal contributions on both sides: nothing is uncertain
    assert found.low == found.high == found.change


def test_where_the_images_are_not_known_the_old_rule_stands_and_says_so() -> None:
    before = fid(compare(side(cell(fid=BASE_FID)), side(cell(fid=HEAD_FID))))
    base, head = sides()
    without = {
        "BASE": (replace(base, images=side().images), head),
        "HEAD": (base, with_images(head, {"is": 0.3})),
        "BASE and HEAD": (side(cell(fid=BASE_FID)), side(cell(fid=HEAD_FID))),
        "HEAD (one seed)": (base, with_images(head, {"fid-inf": 0.9}, seeds=(0, 2))),
    }
    for lacking, pair in without.items():
        result = compare(*pair)
        found = fid(result)
        assert f"no contributions of its images in {lacking.partition(' (')[0]}: the spread" in found.reason
        assert (found.verdict, found.low, found.high) == (before.verdict, before.low, before.high)
        assert any("spread of their seeds" in note for note in result.notes)


def test_identical_cells_need_no_images_and_leave_the_pool() -> None:
    base, head = sides(head=BASE_FID)
    result = compare(base, replace(head, images=side().images))
    assert fid(result).reason == "identical under every seed"
    assert result.notes == []


@pytest.mark.parametrize("varies", ["eval", "calibrate+eval"])
def test_on_other_inputs_the_images_are_independent(varies: str) -> None:
    """Var(HEAD) + 1.05^2 Var(BASE): five times what common images leave, and still decided."""
    base, head = sides(varies)
    other = replace(with_images(head, {"fid-inf": 0.9}, inputs="others"), contents=_on_others(varies))
    found = fid(compare(base, other))
    assert "not paired: the same seeds stand for other evaluation inputs" in found.reason
    v = (0.9**2 + (1.05 * 0.4) ** 2) / 49
    x = np.array(HEAD_FID) - 1.05 * np.array(BASE_FID)
    ratio = (4 + 2 * x.var(ddof=1) / v) / 6
    error = math.sqrt(v * (max(1.0, ratio) if varies != "eval" else 1.0) / 3)
    reach = -error * (ndtri(ERROR) if varies == "eval" else stdtrit(6, ERROR))
    assert found.low == pytest.approx((x.mean() + 0.05 * 11 - reach) / 11)


def _on_others(varies: str) -> Any:
    return contents(cell(fid=HEAD_FID, varies=varies), inputs="others")


def test_across_n_fid_is_refused_and_fid_without_its_bias_compared_for_information() -> None:
    """HEAD of 200 images: 1.5 against 1, independent images; .5 with an error of .02 is worse by 50 %."""
    terms = TERMS | {"fid-inf[judge]": TERMS["fid[judge]"].model_copy(update={"version": "fid-inf-1"})}
    more = {name: each.model_copy(update={"num_images": 200}) for name, each in terms.items() if each.num_images}
    more |= {name: each for name, each in terms.items() if name not in more}
    before, after = cell(fid=BASE_FID), cell(fid=HEAD_FID)
    before.values["fid-inf[judge]"], after.values["fid-inf[judge]"] = [0.9, 1.0, 1.1], [1.4, 1.5, 1.6]
    base = with_images(side(before, terms=terms), {"fid-inf": 0.4})
    head = with_images(side(after, terms=more, inputs="more"), {"fid-inf": 0.4}, inputs="more", count=200)
    result = compare(base, head)
    refused, found = fid(result), fid(result, "fid-inf[judge]")
    assert (refused.verdict, refused.gated, result.exit_code) == ("not comparable", True, 3)
    assert (found.verdict, found.gated) == ("regression", False)
    error = math.sqrt(0.4**2 * (1 / 49 + 1 / 199) / 3)
    assert found.change == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5 + ndtri(ERROR / 1) * error, abs=0.02)


def test_near_zero_the_margin_of_fid_without_bias_is_a_tenth_of_the_noise_floor() -> None:
    """BASE .0 of a floor of 2: HEAD's .15 is less than .2, and its error known to .01."""
    terms = TERMS | {"fid-inf[judge]": TERMS["fid[judge]"].model_copy(update={"version": "fid-inf-1"})}
    before, after = cell(fid=BASE_FID), cell(fid=HEAD_FID)
    before.values["fid-inf[judge]"], after.values["fid-inf[judge]"] = [-0.1, 0.0, 0.1], [0.05, 0.15, 0.25]
    for one in (before, after):
        one.values["fid-inf_floor[judge]"] = [2.0, 2.0, 2.0]
    base = with_images(side(before, terms=terms), {"fid-inf": 0.1})
    head = with_images(side(after, terms=terms), {"fid-inf": 0.2})
    found = fid(compare(base, head), "fid-inf[judge]")
    assert (found.verdict, found.change) == ("ok", pytest.approx(0.15 / 4))


def test_one_seed_is_enough_where_the_images_are_all_that_was_drawn() -> None:
    base = with_images(side(cell(fid=(10.0,))), {"fid-inf": 0.4})
    head = with_images(side(cell(fid=(12.0,))), {"fid-inf": 0.9})
    assert fid(compare(base, head)).verdict == "regression"
    drawn = [with_images(side(cell(fid=(x,), varies="prune+eval")), {"fid-inf": 0.4}) for x in (10.0, 12.0)]
    assert fid(compare(*drawn)).verdict == "inconclusive"
