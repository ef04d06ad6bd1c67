"""Files of earlier schema versions, read as if they were of today's: a report of an old run can still be drawn."""

from __future__ import annotations

from typing import Any

from bench.records.schema import SCHEMA_VERSION, CurvePoint


def upgraded(value: dict[str, Any]) -> dict[str, Any] | None:
    """The content of a file of version 1 as this version writes it; None for any other version.

    Version 2 calls what leads at a point of a learning curve ``quality``; version 1 called it by the name of its
    metric, the only field of a point that is not today's.
    """
    if value.get("schema_version") != 1:
        return None
    found = {**value, "schema_version": SCHEMA_VERSION}
    if isinstance(curve := value.get("curve"), list):
        found["curve"] = [_point(point) if isinstance(point, dict) else point for point in curve]
    return found


def _point(point: dict[str, Any]) -> dict[str, Any]:
    known = CurvePoint.__annotations__
    return {name if name in known else "quality": value for name, value in point.items()}
