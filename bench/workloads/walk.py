"""Which files of a folder are pictures, and what else was there: nothing is left out unsaid."""

from __future__ import annotations

import heapq
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}

OF_THE_SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
"""What systems put into folders of pictures, hidden but for its name: copies, thumbnails, what was thrown away."""

MOST_ENTRIES = 5_000_000
"""A folder with more files than this is a whole disk, named by mistake."""

SHOWN = 3
"""So many names of a kind are given; the count is of all."""

Kind = tuple[str, str]
"""What is left out, one of it and several."""

HIDDEN_FILE = ("hidden file", "hidden files")
HIDDEN_FOLDER = ("hidden folder", "hidden folders")
OTHER_ENDING = ("file of another ending", "files of other endings")
BROKEN_LINK = ("broken link", "broken links")
TWICE = ("link to a folder that is read already", "links to folders that are read already")
NO_FILE = ("pipe, device or socket", "pipes, devices or sockets")
UNREADABLE = ("folder that cannot be listed", "folders that cannot be listed")
UNASKABLE = ("file of which the system tells nothing", "files of which the system tells nothing")
EMPTY = ("folder without images", "folders without images")


@dataclass(frozen=True)
class Found:
    """What lies in a folder and below."""

    folder: Path
    files: tuple[Path, ...]
    """The pictures, sorted by name; in a folder that is linked, under the link's name."""
    left_out: Mapping[Kind, tuple[str, ...]]
    """Kind -> names, relative to the folder."""

    @property
    def note(self) -> str:
        """What was left out, by kind, with its count; empty: nothing."""
        parts = [_counted(kind, names) for kind, names in self.left_out.items()]
        return f"{shown(self.folder)}: left out: {'; '.join(parts)}" if parts else ""


@dataclass
class _Walk:
    folder: Path
    files: list[Path] = field(default_factory=list)
    left: dict[Kind, list[str]] = field(default_factory=lambda: defaultdict(list))
    folders: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    """Links to folders, a heap: followed when all that really lies here is read, the first name first."""
    tops: list[str] = field(default_factory=list)
    entries: int = 0

    def leave_out(self, kind: Kind, path: Path) -> None:
        self.left[kind].append(path.relative_to(self.folder).as_posix())


def find_images(folder: Path, here: str) -> Found:
    """All picture files in ``folder`` and in all folders below, hidden ones left out.

    Links are followed. A folder is read once, however many links lead to it: where it lies, else by the first link.

    Raises:
        UserError: there is no such folder, or no picture in it.
    """
    try:
        kind = folder.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{here}: no folder {shown(folder)} ({_reason(error)}).") from error
    if not stat.S_ISDIR(kind):
        raise UserError(f"{here}: {shown(folder)} is {kind_of(kind)}; expected a folder of images, or an .npz file.")
    walk = _Walk(folder, folders=[folder])
    seen: set[tuple[int, int]] = set()
    while walk.folders or walk.links:
        place = walk.folders.pop() if walk.folders else heapq.heappop(walk.links)
        try:
            status = place.stat()
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if place == folder:
                raise UserError(f"{here}: {shown(folder)} cannot be listed ({_reason(error)}).") from error
            walk.leave_out(UNREADABLE, place)
            continue
        if (status.st_dev, status.st_ino) in seen:
            walk.leave_out(TWICE, place)
            continue
        seen.add((status.st_dev, status.st_ino))
        walk.entries += len(entries)
        if walk.entries > MOST_ENTRIES:
            raise UserError(
                f"{here}: more than {MOST_ENTRIES:,} files in {shown(folder)} and below. Name the folder of the images."
            )
        if place.parent == folder:
            walk.tops.append(place.name)
        for entry in entries:
            _sort(walk, entry, place / entry.name)
    for top in sorted(set(walk.tops) - {path.relative_to(folder).parts[0] for path in walk.files}):
        walk.left[EMPTY].append(top)
    found = Found(folder, tuple(sorted(walk.files)), {kind: tuple(names) for kind, names in sorted(walk.left.items())})
    if not found.files:
        known = ", ".join(sorted(SUFFIXES))
        said = f" {found.note}." if found.note else ""
        raise UserError(f"{here}: no images in {shown(folder)} or below (known: {known}).{said}")
    return found


def _sort(walk: _Walk, entry: os.DirEntry[str], path: Path) -> None:
    """One entry of a folder to where it belongs."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        broken = entry.is_symlink() and not isinstance(error, PermissionError)
        walk.leave_out(BROKEN_LINK if broken else UNASKABLE, path)
        return
    folder = stat.S_ISDIR(mode)
    if entry.name.startswith(".") or entry.name in OF_THE_SYSTEM:
        walk.leave_out(HIDDEN_FOLDER if folder else HIDDEN_FILE, path)
    elif folder and entry.is_symlink():
        heapq.heappush(walk.links, path)
    elif folder:
        walk.folders.append(path)
    elif not stat.S_ISREG(mode):
        walk.leave_out(NO_FILE, path)
    elif path.suffix.lower() in SUFFIXES:
        walk.files.append(path)
    else:
        walk.leave_out(OTHER_ENDING, path)


def _counted(kind: Kind, names: tuple[str, ...]) -> str:
    count = len(names)
    if kind == OTHER_ENDING:
        endings = Counter(Path(name).suffix.lower() or "none" for name in names).most_common()
        few = ", ".join(f"{shown(ending)} {n:,}" for ending, n in endings[:SHOWN])
        more = len(endings) > SHOWN
    else:
        few, more = ", ".join(shown(name) for name in sorted(names)[:SHOWN]), count > SHOWN
    return f"{count:,} {kind[count > 1]} ({few}{', ...' if more else ''})"


def kind_of(mode: int) -> str:
    """``st_mode`` in words."""
    kinds = {
        stat.S_ISREG: "a file",
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
        stat.S_ISSOCK: "a socket",
    }
    return next((words for test, words in kinds.items() if test(mode)), "no file")


def shown(name: Path | str) -> str:
    """A file's name for a message: what cannot be printed is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
