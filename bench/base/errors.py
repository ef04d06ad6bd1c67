"""What goes wrong by the user's hand: a sentence with the place, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input. The message names the place, what was found and what to do; exit code 2."""


class Mistakes(UserError):
    """Several mistakes at once, each with its place."""

    def __init__(self, mistakes: list[str], consequence: str = "nothing was run") -> None:
        self.mistakes = mistakes
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}; {consequence}."
        super().__init__("\n".join([*mistakes, count]))
