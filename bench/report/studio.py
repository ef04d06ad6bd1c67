"""The process that figures are drawn in, and what it forks. Started by `bench.report.pictures`, which talks to it.

It imports what draws, reads a list of drawings from its standard input, and writes the picture of each, in their order,
to its standard output. Whatever goes wrong ends it: who asked then draws for itself, and sees the error.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from bench.report.drawings import Drawing
from bench.report.pictures import Picture, draw


def main() -> None:
    """Draw what comes, with as many processes as the second argument says."""
    gc.disable()  # a figure is a large graph that lives for a second: looking through it again and again takes a tenth
    import bench.report.figures.everything  # noqa: F401

    gc.freeze()
    with _output() as output:
        try:
            drawings: list[Drawing] = pickle.load(sys.stdin.buffer)  # our parent wrote it
        except EOFError:
            return  # the report could not be computed
        for picture in _drawn(drawings, int(sys.argv[2])):
            pickle.dump(picture, output)
            output.flush()
    os._exit(0)  # an interpreter that ends looks through everything once more


@contextmanager
def _output() -> Iterator[BinaryIO]:
    """Where the parent reads; what anything else prints goes to the standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with output:
        yield output


def _drawn(drawings: Sequence[Drawing], jobs: int) -> Iterator[Picture | None]:
    if sys.platform != "linux":  # elsewhere libraries of the system do not survive a fork
        yield from map(draw, drawings)
        return
    with multiprocessing.get_context("fork").Pool(min(jobs, len(drawings)) or 1) as pool:
        yield from pool.imap(draw, drawings)
