"""Names changed by a user's regular expressions, in a process of its own: some of them would never end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench.base.errors import UserError
from bench.base.printable import one_line, shortened

SECONDS = 10.0
"""For all names of a file. A pattern that is not of the endless kind takes a microsecond a name."""

LONGEST = 10_000
"""Characters of a name; replacements that double it reach that, no tensor's name does."""

MEMORY = 2**30

_CHILD = """
import json, re, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
except (ImportError, OSError, ValueError):
    pass
names, patterns = json.load(sys.stdin)
for i, (pattern, replacement) in enumerate(patterns):
    print(i, flush=True)
    changed = re.compile(pattern)
    names = [changed.sub(replacement, name) for name in names]
    if any(len(name) > LONGEST for name in names):
        print("long", flush=True)
        sys.exit(3)
print("done")
json.dump(names, sys.stdout)
"""


class BadPattern(UserError):
    """A pattern of ``checkpoint.rename`` that does not come to an end, or to no name."""


def renamed(names: Sequence[str], patterns: Mapping[str, str], seconds: float | None = None) -> list[str]:
    """``names`` after every pattern, in their order; in `SECONDS` unless told otherwise.

    Raises:
        BadPattern: one takes longer than ``seconds``, more memory than `MEMORY`, or makes endless names.
    """
    if not patterns or not names:
        return list(names)
    seconds = SECONDS if seconds is None else seconds
    code = _CHILD.replace("MEMORY", str(MEMORY)).replace("LONGEST", str(LONGEST))
    asked = json.dumps([list(names), list(patterns.items())])
    command = [sys.executable, "-I", "-S", "-c", code]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, encoding="utf-8", timeout=seconds, check=False)
        said, failed = done.stdout, done.returncode != 0
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
        said = out.decode(errors="replace") if isinstance(out, bytes) else out
        raise BadPattern(
            f"checkpoint.rename: {_at(said, patterns)} took more than {seconds:g} s on the names of the file. A "
            "pattern with repeated repetitions, (a+)+, tries every way to share the letters out; write it without."
        ) from error
    if failed:
        reason = f"makes names of more than {LONGEST:,} characters" if "long" in said else "cannot be carried out"
        raise BadPattern(f"checkpoint.rename: {_at(said, patterns)} {reason} on the names of the file.")
    found: list[str] = json.loads(said.partition("done\n")[2])
    return found


def _at(said: str, patterns: Mapping[str, str]) -> str:
    """The pattern that the child was at, in words."""
    places = [line for line in said.splitlines() if line.isdigit()]
    pattern = list(patterns)[int(places[-1])] if places else next(iter(patterns))
    return f"'{shortened(one_line(pattern), 100)}'"
