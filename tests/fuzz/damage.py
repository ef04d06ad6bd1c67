"""Ways to damage a file, each drawn from a seeded generator: bytes, texts of JSON and TOML, and what is no file."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, -(2**63), 2**70, 10**400, 0.5, -0.0, 1e-300, 1e300, float("nan"),
    float("inf"), float("-inf"), "", " ", "dense", "0.5", "../..", "/", ".", "a\0b", "\x1b[31mred\x1b[0m", "\u202eabc",
    "\u2028", "x" * 5000, "-" * 40, "[" * 40, [], {}, [[]], [{}], {"": None}, {"a": {"b": {}}}, [1, "a", None],
    [None] * 50,
    {"sparsity": 0.5, "threshold": 1}, {"sparsity": "a"},
)  # fmt: skip
"""Values of the wrong kind, range or size."""


def bytes_changed(data: bytes, rng: Random) -> bytes:
    """Flips, cuts, insertions, deletions and repetitions of bytes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16, 200))):
        at = rng.randrange(len(found) + 1)
        kind = rng.randrange(7)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 2:
            del found[at : at + rng.choice((1, 2, 8, 100))]
        elif kind == 3:
            found[at:at] = rng.randbytes(rng.choice((1, 2, 8, 100)))
        elif kind == 4:
            found[at:at] = found[at : at + rng.choice((4, 64, 1000))]
        elif kind == 5 and rng.random() < 0.2:
            del found[at:]
        elif kind == 6:
            size = rng.choice((1, 4, 8))
            found[at : at + size] = bytes([rng.choice((0, 255, 0x7F, 0x80))]) * size
    return bytes(found)


def bytes_replaced(data: bytes, rng: Random) -> bytes:
    """Something else altogether."""
    return rng.choice((
        b"", b"{}", b"[]", b"null", b"\xef\xbb\xbf" + data, b"\xff\xfe" + data, data.decode("latin-1").encode("utf-16"),
        b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5_000, b'{"a": ' + b"9" * 5_000 + b"}", b"{\"a\": NaN}",
        b"\"" + b"x" * 10**6,
        b"\0" * 4096, rng.randbytes(4096), b"PK\x03\x04" + rng.randbytes(500), b"\x80\x02" + rng.randbytes(500),
        b"\x80\x02cos\nsystem\n(S'true'\ntR.", b"\xff" * 8 + data[8:], (2**40).to_bytes(8, "little") + data[8:],
        data + data, data[::-1], b'"\\ud800"', b'{"\\ud800": 1}',
    ))  # fmt: skip


def value_changed(value: Any, rng: Random) -> Any:
    """A table of JSON or TOML with one to four places changed: other types, missing, foreign and repeated keys."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder, key = place_in(value, rng)
        if holder is None:
            return deepcopy(rng.choice(ODD))
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[rng.choice(("", "x", "name", "a\0b", "\x1b[2J", "k" * 3000, key + key))] = deepcopy(holder[key])
        elif kind == 2 and isinstance(holder, list):
            holder += deepcopy(holder * rng.choice((1, 5)))
        elif kind == 3:
            for _ in range(rng.choice((1, 20, 60))):
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        else:
            holder[key] = deepcopy(rng.choice(ODD))
    return value


def place_in(value: Any, rng: Random) -> tuple[Any, Any]:
    """A table or list inside of ``value`` and a key of it, each level as likely as the next."""
    if not isinstance(value, dict | list) or not value:
        return None, None
    holder, depth = value, rng.randrange(1, 7)
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = rng.choice(keys)
        inner = holder[key]
        depth -= 1
        if depth <= 0 or not isinstance(inner, dict | list) or not inner:
            return holder, key
        holder = inner


def no_file(path: Path, rng: Random) -> None:
    """Put what is no file in the place of ``path``."""
    path.unlink(missing_ok=True)
    kind = rng.randrange(7)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(path.parent / "nowhere")
    elif kind == 3:
        path.symlink_to("/dev/zero")
    elif kind == 4:
        path.symlink_to(path)
    elif kind == 5:
        with path.open("wb") as file:
            file.truncate(2**43)
    else:
        path.symlink_to("/dev/null")


def written(value: Any) -> bytes:
    """JSON as a careless program would write it: NaN and 400 digits too."""
    return json.dumps(value).encode()
