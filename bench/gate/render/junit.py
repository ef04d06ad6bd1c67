"""JUnit XML, which most CI systems show without being told more."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from bench.gate.verdicts import UNDECIDED, Result, Row

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: Result) -> str:
    """One test case for each gated row: ``failure`` for a regression, ``error`` where it could not be compared,
    ``skipped`` where it could not be decided.
    """
    rows = [row for row in result.rows if row.gated]
    kinds = [_outcome(row) for row in rows]
    counts = {"failures": kinds.count("failure"), "errors": kinds.count("error"), "skipped": kinds.count("skipped")}
    common = {
        "name": f"ganprune compare {clean(result.experiment)}",
        "tests": str(len(rows)),
        "time": str(result.seconds),
    }
    common |= {name: str(count) for name, count in counts.items()}
    suites = ET.Element("testsuites", common)
    suite = ET.SubElement(suites, "testsuite", common)
    properties = ET.SubElement(suite, "properties")
    for name, value in (("base", result.base), ("head", result.head), *(("note", note) for note in result.notes)):
        ET.SubElement(properties, "property", {"name": name, "value": clean(value)})
    for row, kind in zip(rows, kinds, strict=True):
        name = clean(row.metric or row.kind)
        case = ET.SubElement(suite, "testcase", {"classname": clean(row.cell), "name": name, "time": "0"})
        if kind:
            words = {"message": f"{row.verdict}: {clean(row.reason)}"}
            element = ET.SubElement(case, kind, words if kind == "skipped" else words | {"type": row.verdict})
            element.text = f"BASE {row.base}, HEAD {row.head}" if row.base is not None else None
        else:
            ET.SubElement(case, "system-out").text = f"{row.verdict}: {clean(row.reason)}"
    ET.indent(suites, " ")
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _outcome(row: Row) -> str:
    if row.verdict == "regression":
        return "failure"
    if row.kind in UNDECIDED.get(row.verdict, ()):
        return "error"
    return "skipped" if row.verdict in {"inconclusive", "invalid", "missing", "not comparable"} else ""


def clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)
