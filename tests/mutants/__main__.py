"""`python -m tests.mutants --seed 0 --count 100`: a sample of changes, each against the tests of its folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.mutants.changes import Change, changes_of, is_change
from tests.mutants.rooms import ELSEWHERE, EQUIVALENT, ROOMS, ROOT, duties_of, files_of, hash_of, whole_of
from tests.mutants.trial import Base, Outcome, base_of, copy_of_tree, outcome_of, outcome_of_whole

AIM = 0.95
"""The share of changes that the tests should notice."""
SLOWEST = 1200.0
"""Seconds that a room's tests may take as they are, and all tests of its folders after a change."""


@dataclass(frozen=True)
class Mutant:
    """A change of a file, under a name that stays the same while the line does."""

    room: str
    file: str
    change: Change
    name: str


Trial = Callable[[Mutant, Path], tuple[Outcome, str]]
"""A mutant and a copy of the tree -> what came of it, and what was said."""


def mutants_of(root: Path = ROOT) -> list[Mutant]:
    """Every change that could be drawn."""
    found = []
    for room, its in ROOMS.items():
        for file in files_of(its, root):
            source = (root / file).read_bytes()
            lines = source.decode().splitlines()
            seen: Counter[str] = Counter()
            for change in changes_of(source):
                line = lines[change.line - 1].strip()
                if change.function in ELSEWHERE.get(file, ()) or (file, line, change.new) in EQUIVALENT:
                    continue
                text = f"{file}:{change.function}:{line}:{change.old}->{change.new}"
                seen[text] += 1
                found.append(Mutant(room, file, change, hashlib.sha256(f"{text}#{seen[text]}".encode()).hexdigest()))
    return found


def sample(mutants: Sequence[Mutant], seed: int, count: int, root: Path = ROOT) -> list[Mutant]:
    """``count`` of them. An edit of a line changes what is drawn of that line alone."""
    order = sorted(mutants, key=lambda one: hashlib.sha256(f"{seed}:{one.name}".encode()).digest())
    drawn: list[Mutant] = []
    for one in order:
        if len(drawn) == count:
            break
        if is_change((root / one.file).read_bytes(), one.change):
            drawn.append(one)
    return drawn


class Results:
    """One JSON file for each mutant, and one for each room as it is; what is there is not tried again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def keep(self, name: str, values: dict[str, Any]) -> None:
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")
        part.replace(self.folder / f"{name}.json")


class Bases:
    """The rooms as they are, each run once for the tests that it has."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.locks = {room: threading.Lock() for room in ROOMS}

    def of(self, room: str, copy: Path) -> Base:
        with self.locks[room]:
            tests = hash_of(ROOMS[room], copy)
            kept = self.results.read(f"room-{room}")
            if kept is None or kept["tests"] != tests:
                print(f"{room}: its tests as they are", flush=True)
                kept = asdict(base_of(copy, (*ROOMS[room].tests, *ROOMS[room].also), SLOWEST)) | {"tests": tests}
                self.results.keep(f"room-{room}", kept)
            return Base(kept["seconds"], kept["failing"])


def run(drawn: Sequence[Mutant], results: Results, jobs: int, again: bool) -> None:
    """Try what has no result yet (``again``: what survived, too), then all tests of its folders on what survives."""
    bases = Bases(results)

    def quick(one: Mutant, copy: Path) -> tuple[Outcome, str]:
        base = bases.of(one.room, copy)
        tests = duties_of(ROOMS[one.room], one.file, base.seconds, copy)
        return outcome_of(copy, one.file, one.change, tests, base.failing, 60 + 4 * sum(base.seconds.values()))

    def whole(one: Mutant, copy: Path) -> tuple[Outcome, str]:
        tests = whole_of(ROOMS[one.room], one.file, copy)
        return outcome_of_whole(copy, one.file, one.change, tests, bases.of(one.room, copy).failing, SLOWEST)

    def survived(one: Mutant) -> bool:
        return (results.read(one.name) or {}).get("outcome") == "survived"

    scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        copies = [copy_of_tree(scratch / str(job)) for job in range(jobs)]
        new = [one for one in drawn if results.read(one.name) is None or (again and survived(one))]
        stage(new, quick, copies, results)
        left = [one for one in drawn if survived(one) and not (results.read(one.name) or {}).get("whole")]
        stage(left, whole, copies, results, whole=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def stage(
    mutants: Sequence[Mutant], trial: Trial, copies: Sequence[Path], results: Results, whole: bool = False
) -> None:
    """Try each, one in each copy at a time; what came of it is kept, and whether all tests were asked."""
    waiting: Queue[Mutant] = Queue()
    for one in mutants:
        waiting.put(one)

    def work(copy: Path) -> None:
        while True:
            try:
                one = waiting.get_nowait()
            except Empty:
                return
            begun = time.monotonic()
            outcome, said = trial(one, copy)
            took = time.monotonic() - begun
            shown = {"outcome": outcome, "said": said, "whole": whole, "seconds": round(took, 1)}
            results.keep(one.name, asdict(one) | shown | {"difference": difference(one, copy)})
            done = f"{len(mutants) - waiting.qsize()}/{len(mutants)}"
            print(f"{done}{' all tests' if whole else ''} {outcome:9} {took:5.0f} s  {described(one)}", flush=True)

    with ThreadPoolExecutor(len(copies)) as pool:
        for ended in [pool.submit(work, copy) for copy in copies]:
            ended.result()


def described(one: Mutant) -> str:
    """Where, and what became what."""
    change = one.change
    return f"{one.file}:{change.line} {change.function}: {change.old!r} -> {change.new!r}"


def difference(one: Mutant, root: Path) -> str:
    """The line before and after."""
    source = (root / one.file).read_bytes()
    before, after = source.decode().splitlines(), one.change.of(source).decode().splitlines()
    number = one.change.line - 1
    return f"- {before[number].strip()}\n+ {after[number].strip()}"


def table(drawn: Sequence[Mutant], results: Results) -> tuple[str, float]:
    """What came of the sample, with the difference of each that nobody noticed, and the share that was noticed."""
    there = {one: values for one in drawn if (values := results.read(one.name)) is not None}
    tried = {one: values["outcome"] for one, values in there.items()}
    lines = ["| room | tried | noticed | timed out | survived |", "|---|---|---|---|---|"]
    for room in [*ROOMS, "all"]:
        counts = Counter(outcome for one, outcome in tried.items() if room in (one.room, "all"))
        cells = [sum(counts.values()), counts["noticed"], counts["timed out"], counts["survived"]]
        lines.append(f"| {room} | {' | '.join(map(str, cells))} |")
    for outcome in ("timed out", "survived"):
        for one in (one for one in drawn if tried.get(one) == outcome):
            lines += ["", f"{outcome}: {described(one)}", there[one]["difference"]]
    for room in ROOMS:
        failing = (results.read(f"room-{room}") or {}).get("failing", [])
        if failing:
            lines += ["", f"{room}: these fail without any change and were left out: {', '.join(failing)}"]
    share = sum(outcome != "survived" for outcome in tried.values()) / max(len(tried), 1)
    lines += [
        "",
        f"{len(tried)} of {len(drawn)} tried; noticed, with those that hang and do not without it: {100 * share:.1f} %",
    ]
    return "\n".join(lines), share


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=ROOT / ".mutants", help="kept here, and continued")
    parser.add_argument("--again", action="store_true", help="try again what survived: the tests have changed")
    parser.add_argument("--table", action="store_true", help="try nothing, show what is there")
    given = parser.parse_args()
    results = Results(given.results)
    drawn = sample(mutants_of(), given.seed, given.count)
    if not given.table:
        run(drawn, results, given.jobs, given.again)
    text, share = table(drawn, results)
    print(f"\nseed {given.seed}\n\n{text}")
    return 0 if share >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
