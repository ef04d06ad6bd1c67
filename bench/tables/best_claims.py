"""Each strategy against the best of its level: which may be the best one, and by how much the others are behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from bench.statistics import Estimate, Simultaneous, among_best, estimated
from bench.tables.claim import LEVEL, SAME_SIZE, Claim, Key, Verdict, in_order
from bench.tables.evidence import Evidence
from bench.tables.groups import Comparison, Group, changed, claim_about, compare
from bench.tables.naming import DENSE


def against_best(groups: Mapping[Key, Group], evidence: Evidence) -> list[Claim]:
    """A claim for each strategy at each requested level, all of one workload, checkpoint and recovery with one error.

    The other of a claim is the row that beats it the most surely, or, of a row that may itself be the best, the one
    with the best mean beside it. A level with one strategy has none.
    """
    families: dict[Key, dict[Key, list[Group]]] = {}
    for key, group in groups.items():
        if key[2] != DENSE and not math.isnan(group.first["requested"]):
            level = changed(key, strategy="")
            families.setdefault((key[0], key[1], key[5]), {}).setdefault(level, []).append(group)
    claims = []
    for levels in families.values():
        several = [members for members in levels.values() if len(members) > 1]
        pairs = {
            (id(one), id(other)): compare(one, other, evidence, same_size=True)
            for members in several
            for one, other in combinations(members, 2)
        }
        made = {names: pair for names, pair in pairs.items() if pair.difference is not None and not pair.obstacle}
        found = dict(zip(made, estimated([pair.difference for pair in made.values() if pair.difference]), strict=True))
        for members in several:
            claims += _level(members, found, pairs, LEVEL / len(several))
    return in_order(claims)


def _level(
    members: list[Group],
    found: Mapping[tuple[int, int], Estimate | None],
    pairs: Mapping[tuple[int, int], Comparison],
    error: float,
) -> list[Claim]:
    """The claims of one level; ``found`` and ``pairs`` are by the identities of two groups, in one order of the two."""
    sign = members[0].judge.quantity.sign
    size = members[0].first["requested"]
    able = [one for one in members if not one.lost and abs(one.achieved - size) <= SAME_SIZE]

    def estimate(i: int, j: int) -> Estimate | None:
        """Row i minus row j, larger is worse."""
        one, other = id(able[i]), id(able[j])
        known, turned = found.get((one, other)), found.get((other, one))
        estimate = known if known is not None else turned and turned.negative()
        return estimate if estimate is None or sign > 0 else estimate.negative()

    standings = among_best(len(able), estimate, error)
    order = sorted(range(len(able)), key=lambda i: (math.isnan(able[i].mean), sign * able[i].mean))
    level = error / max(len(able) - 1, 1)
    claims = []
    for i, standing in enumerate(standings):
        j = standing.beaten_by[0] if standing.beaten_by else next((k for k in order if k != i), None)
        if j is None:
            continue
        pair = pairs.get((id(able[i]), id(able[j]))) or _turned(pairs[id(able[j]), id(able[i])])
        known = estimate(i, j)
        verdict: Verdict = "too few seeds" if known is None else "not separable"
        result = None
        if known is not None:
            low, high, p = known.lower(level), known.upper(level), min(1.0, known.p_above(0.0) * error / level)
            result = Simultaneous(low, high, p, 0) if sign > 0 else Simultaneous(-high, -low, p, 0)
            if not standing.among_best:
                verdict = "higher" if sign > 0 else "lower"
        claims.append(claim_about(pair, result, math.nan, verdict))
    return claims + [_left_out(one, able, pairs) for one in members if one not in able and able]


def _left_out(one: Group, able: list[Group], pairs: Mapping[tuple[int, int], Comparison]) -> Claim:
    """A row that was not compared: it collapsed, or has another size."""
    pair = pairs.get((id(one), id(able[0]))) or _turned(pairs[id(able[0]), id(one)])
    verdict: Verdict = "other size"
    if one.lost:
        verdict = "worse: collapsed" if one.lost == len(one.cells) else "collapsed"
    return claim_about(pair, None, math.nan, verdict)


def _turned(pair: Comparison) -> Comparison:
    """The same comparison the other way round."""
    difference = pair.difference
    if difference is not None:
        logs = None if difference.logs is None else tuple(-value for value in difference.logs)
        difference = replace(difference, values=tuple(-value for value in difference.values), logs=logs)
    return Comparison(pair.base, pair.mine, difference, pair.obstacle)
