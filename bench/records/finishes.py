"""The names of what is done with a recovered network before it is deployed; how it is done is in `bench.artifact`."""

from __future__ import annotations

from collections.abc import Mapping

NO_FINISH = "none"
"""The network as its recovery left it, in float32."""

FINISHES = (NO_FINISH, "bf16", "int8-onnx", "int8-openvino")
"""All finishes, in the order of tables."""

TIMED_AS: Mapping[str, str] = {"bf16": "bf16-weights", "int8-onnx": "int8-onnx", "int8-openvino": "int8-openvino"}
"""Finish -> the ``backend`` of its timings: a finished network runs in one way only."""


def after_pruning(recovery: str, finish: str) -> str:
    """``finetune-200`` or ``finetune-200+int8-onnx``: all that is done after pruning, in one word."""
    return recovery if finish == NO_FINISH else f"{recovery}+{finish}"


def without_finish(after: str) -> str:
    """The recovery of a word of `after_pruning`: dense of it is what a finished network is compared with."""
    return after.partition("+")[0]


def finish_in(after: str) -> str:
    """The finish of a word of `after_pruning`."""
    return after.partition("+")[2] or NO_FINISH
