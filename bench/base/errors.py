"""What goes wrong by the user's hand: a sentence with the place, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input. The message names the place, what was found and what to do; exit code 2."""


MOST_TOLD = 50
"""So many mistakes are told; of the others, how many there are."""

LONGEST = 8_000
"""Characters of them all: more than anybody reads."""


class Mistakes(UserError):
    """Several mistakes at once, each with its place."""

    def __init__(self, mistakes: list[str], consequence: str = "nothing was run") -> None:
        self.mistakes = mistakes
        count = f"{len(mistakes):,} mistake{'s' if len(mistakes) != 1 else ''}; {consequence}."
        told: list[str] = []
        for mistake in mistakes[:MOST_TOLD]:
            if told and sum(map(len, told)) + len(mistake) > LONGEST:
                break
            told.append(mistake if len(mistake) <= LONGEST else f"{mistake[:LONGEST]}...")
        more = [f"and {len(mistakes) - len(told):,} more."] if len(told) < len(mistakes) else []
        super().__init__("\n".join([*told, *more, count]))
