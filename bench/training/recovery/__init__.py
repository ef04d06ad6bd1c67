"""What is done for a pruned network: `spec` says what, `recover` does it."""

from bench.training.recovery.run import WATCHED, Recovered, Watch, recover, watched_steps
from bench.training.recovery.spec import Recovery, parse_recovery
from bench.training.recovery.start import Scheduled, Start

__all__ = [
    "WATCHED", "Recovered", "Recovery", "Scheduled", "Start", "Watch", "parse_recovery", "recover", "watched_steps",
]  # fmt: skip
