"""Where numbers are made: the device, the versions of libraries, the revision of the source."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bench.base.errors import UserError

LIBRARIES = ("torch", "torchvision", "torch-fidelity", "torch-pruning", "fvcore", "numpy", "scipy", "pandas")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As in a worker: one thread, whatever torch would take by itself. Numbers do depend on it, in the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_device(device: str) -> None:
    """Raises UserError for a device that is not here."""
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UserError(f"--device {device}: not a device. Use cpu or cuda.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {device}: torch {torch.__version__} sees no CUDA device here. Use --device cpu.")
    if kind not in {"cpu", "cuda"}:
        raise UserError(f"--device {device}: only cpu and cuda are supported.")


def device_model(device: torch.device | str = "cpu") -> str:
    """The name of the processor or GPU; the architecture where the system does not tell."""
    device = torch.device(device)
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    name = ""
    if sys.platform == "darwin":
        query = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    elif (cpuinfo := Path("/proc/cpuinfo")).exists():
        lines = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8").splitlines())
        name = next((value for key, _, value in lines if key.strip() == "model name"), "")
    return " ".join(name.split()) or platform.processor() or platform.machine()


def libraries() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {"python": platform.python_version()} | versions(*LIBRARIES)


def versions(*names: str) -> dict[str, str]:
    """Versions of installed distributions; ``absent`` for others."""
    return {name: _version(name) for name in names}


@functools.cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def machine(device: str) -> dict[str, Any]:
    """What kind of machine this is; no host or user names."""
    return {
        "device": device_model(device),
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
    } | ({"gpu": gpu(device)} if torch.device(device).type == "cuda" else {})


def gpu(device: str) -> dict[str, Any]:
    """What the numbers of a GPU depend on besides its name."""
    return {
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
    }


def git_revision() -> str | None:
    """The revision of the source that is running, with ``-dirty`` where files differ; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
