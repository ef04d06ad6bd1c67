"""Files of torch.save, read as data: nothing in them is run, and whatever they hold is a value or a sentence."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from bench.base.outside import WEIGHTS, open_regular, size_of
from bench.base.printable import one_line, shortened


class NoTensors(Exception):
    """A file that cannot be read; the message says why, in a few words."""


class Refused(NoTensors):
    """A pickle that wants more run than the making of tensors."""


def read_torch(source: Path | bytes, device: torch.device | str = "cpu") -> Any:
    """What torch.save wrote, with ``weights_only=True``.

    Raises:
        Unreadable: no regular file, or one that is too large.
        Refused, NoTensors: it is not such a file, damaged, or holds more than tensors and plain values.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), device)
    with open_regular(source, WEIGHTS) as file:
        return _read(file, device)


def _read(file: Any, device: torch.device | str) -> Any:
    _check_archive(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols that it asks to report: a damaged byte reads as one
            return torch.load(file, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error)
        if "Unsupported operand" in reason:
            raise NoTensors("not a pickle of tensors") from error
        raise Refused(reason) from error
    except Exception as error:  # a damaged file leads to whatever its bytes lead to, in PyTorch and below it
        raise NoTensors(in_short(error)) from error


def in_short(error: Exception) -> str:
    """The first line of what a library says, short and printable."""
    lines = str(error).strip().splitlines()
    return shortened(one_line(lines[0]), 200) if lines else type(error).__name__


def _check_archive(file: Any) -> None:
    """Raise `NoTensors` for an archive that unpacks to more than any weights have: torch.save packs nothing."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError):
        size = 0  # no archive, or one that PyTorch will complain about
    finally:
        file.seek(0)
    if size > WEIGHTS:
        raise NoTensors(f"it unpacks to {size_of(size)}, at most {size_of(WEIGHTS)}")
