"""What somebody else's code raised, in words that can always be printed."""

from __future__ import annotations

LONGEST = 500
"""Characters of a message that are repeated: some errors print whole tensors."""

MOST_LINES = 4


def in_words(error: BaseException) -> str:
    """``ValueError: no such width``, cut where it is long; an exception may also fail to say what it is."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its __str__ is somebody else's code as well
        return f"{kind} (its message cannot be printed)"
    lines = text.strip().splitlines()
    text = "\n".join(lines[:MOST_LINES])
    if len(text) > LONGEST or len(lines) > MOST_LINES:
        text = f"{text[:LONGEST].rstrip()} ..."
    # What cannot be encoded, half of a surrogate pair, would fail where it is printed.
    return f"{kind}: {text.encode('utf-8', 'backslashreplace').decode('utf-8')}" if text else kind
