"""`ganprune env`."""

from __future__ import annotations

import typer


def env() -> None:
    """Versions and machine behind numbers made here."""
    import json

    from bench.base.machine import git_revision, libraries, machine

    found = {"libraries": libraries(), "machine": machine("cpu"), "git": git_revision()}
    import torch

    found["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    typer.echo(json.dumps(found, indent=1))
