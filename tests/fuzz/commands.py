"""Generators that end, stop or starve the process that runs them, through the commands of real users.

Each is tried by the whole command, supervisor included, in a fork of this process, which has the libraries imported.
What must come of it: an end within the limit and a grace; one message with the place and no traceback; and exit code 0
only where nothing failed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.base.printable import one_line
from bench.cli import command
from bench.cli.supervisor import GRACE, LAST_WORDS, supervised
from tests.fuzz.misbehaving import DANGEROUS
from tests.fuzz.tally import Tally
from tests.helpers.pictures import pictures, write_pictures

SECONDS = 4.0
MEMORY = "2GiB"

SLACK = 60.0
"""Seconds that a command may take besides its limit on a busy machine: it reads, tries to prune, judges."""

FINE = ("starts a thread that stays", "forks", "exits later", "exits hard later")
"""What may well end without a message: nothing has failed when the command is done."""

TABLE = """
[experiment]
name = "fuzz"
workloads = ["w"]
strategies = ["l1-weight-global"]
sparsities = [0.5]
recovery = ["none"]
seeds = [0]
[quality]
metrics = ["fid"]
num_images = 20
[latency]
enabled = false
[[workload]]
name = "w"
factory = "{name}.py:G"
inputs = [{{kind = "normal", shape = [8]}}]
reference = "photos"
extractor = "{name}.py:judge"
"""


@dataclass(frozen=True)
class Answer:
    code: int
    text: str
    seconds: float


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """``count`` of them, by turns through `check-workload` and `plan`."""
    tally = Tally("commands")
    order = list(DANGEROUS)
    random.Random(seed).shuffle(order)
    write_pictures(folder / "photos", pictures(24, 8, 8))
    for i in range(count):
        name, source = order[i % len(order)]
        verb = ("check-workload", "plan")[(i + i // len(order)) % 2]
        stem = f"dangerous_{i}"
        (folder / f"{stem}.py").write_text(source)
        (folder / f"{stem}.toml").write_text(TABLE.format(name=stem))
        answer = _answer([verb, f"{stem}.toml", "--cell-seconds", str(SECONDS), "--cell-memory", MEMORY], folder)
        problem = _problem(name, answer)
        if problem:
            tally.wrong.append(f"{name}, {verb}: {problem}: {one_line(answer.text)}")
        else:
            tally.outcomes[f"exit code {answer.code}"] += 1
    return tally


def _problem(name: str, answer: Answer) -> str:
    if answer.seconds > SECONDS + GRACE + LAST_WORDS + SLACK:
        return f"took {answer.seconds:.0f} s"
    if "Traceback" in answer.text:
        return "a traceback"
    if answer.code == 0 and name not in FINE:
        return "exit code 0"
    if answer.code not in (0, 2, 130):
        return f"exit code {answer.code}"
    return ""


def _answer(arguments: list[str], folder: Path) -> Answer:
    """The command's exit code and all that it printed."""
    output = folder / "output.txt"
    start = time.monotonic()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _in_child(arguments, folder, output)
    end = start + SECONDS + GRACE + LAST_WORDS + 2 * SLACK
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return Answer(os.waitstatus_to_exitcode(ended[1]), output.read_text(errors="replace"), time.monotonic() - start)


def _in_child(arguments: list[str], folder: Path, output: Path) -> None:
    code = 99
    try:
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.chdir(folder)
        sys.argv = ["ganprune", *arguments]
        code = supervised(command)
    except SystemExit as end:  # the process below the supervisor leaves by it
        code = end.code if isinstance(end.code, int) else 98
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
