"""Attempts of the kind ``generators``: misbehaving ones through `check-workload`, in this process."""

from __future__ import annotations

import random
import sys
import traceback
import warnings
import zlib
from pathlib import Path

import torch

from bench.base.errors import UserError
from bench.base.process import process_state
from bench.check.workload import check
from bench.experiments import Quality, check_workloads
from tests.fuzz.misbehaving import DANGEROUS, FINE, HARMLESS, NOTE, PRELUDE, PROBLEM
from tests.fuzz.tally import Tally
from tests.helpers.pictures import pictures, write_pictures

__all__ = ["DANGEROUS", "attempts"]

ALWAYS = ("BatchNorm: none", "discriminator: none", "output: 3 x 8 x 8", "parameters:", "channels:", "weights:")
"""Notes that are said of these small untrained networks however they behave."""

VARIATIONS = ("reference", "dense-samples")


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """``count`` misbehaving generators, each once before any comes twice, in an order of ``seed``.

    The second time round their reference is their own samples. Files are written to ``folder``.
    """
    tally = Tally("generators")
    rng = random.Random(seed)
    write_pictures(folder / "photos", pictures(24, 8, 8))
    names = list(HARMLESS)
    rng.shuffle(names)
    for i in range(count):
        name, variation = names[i % len(names)], VARIATIONS[i // len(names) % 2]
        _attempt(name, variation, i, folder, tally)
    return tally


def write(folder: Path, stem: str, source: str) -> Path:
    """The source as a file; one that says so in latin-1."""
    path = folder / f"{stem}.py"
    if "\u00e9" in source:
        path.write_bytes(f"# -*- coding: latin-1 -*-\n{source}".encode("latin-1"))
    else:
        path.write_text(source, encoding="utf-8")
    return path


def _attempt(name: str, variation: str, i: int, folder: Path, tally: Tally) -> None:
    expected, source = HARMLESS[name]
    stem = f"misbehaving_{i}_{zlib.crc32(str(folder).encode())}"
    write(folder, stem, PRELUDE + source)
    table = {
        "name": "fuzzed",
        "factory": f"{stem}.py:G",
        "inputs": [{"kind": "normal", "shape": [8]}],
        "reference": {"source": "dense-samples", "limit": 60} if variation == "dense-samples" else "photos",
        "extractor": f"{stem}.py:judge",
        "folder": str(folder),
    }
    before = process_state()
    state = torch.get_rng_state()
    what = f"{name} ({variation})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(check(check_workloads([table], "fuzz")[0], Quality(metrics=("fid",), num_images=20)))
    except UserError:
        tally.outcomes["refused"] += 1
    except Exception:  # noqa: BLE001 - that is what is looked for
        tally.wrong.append(f"{what}: {traceback.format_exc()}")
    else:
        kinds = {f.kind for f in found if f.kind != "note" or not f.text.startswith(ALWAYS) or "output: all" in f.text}
        worst = PROBLEM if PROBLEM in kinds else NOTE if NOTE in kinds else FINE
        if expected in ("", worst) or (expected == NOTE and worst == PROBLEM and variation == "dense-samples"):
            tally.outcomes[worst] += 1
        else:
            said = "; ".join(f"{f.kind}: {f.text[:200]}" for f in found if f.kind != "ok")
            tally.wrong.append(f"{what}: expected {expected}, found {worst}: {said}")
    finally:
        if changed := before.changes():
            tally.wrong.append(f"{what}: leaves {', '.join(changed)} changed")
            before.restore()
        torch.set_rng_state(state)
        sys.modules.pop(stem, None)
