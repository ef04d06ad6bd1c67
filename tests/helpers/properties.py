"""How property tests draw their examples: the same ones each time, or new ones (`make explore`)."""

from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.internal.conjecture import providers

SAME = "same"
"""The profile of `make test`: the examples are a function of the test alone."""
EXPLORE = "explore"
"""The profile of `make explore`: new examples each time, ten times as many, with how to make a failing one again."""
MORE = 10
FINDS = ".hypothesis/examples"
"""Where what failed is kept, to be tried first the next time; ignored by git."""


def register_profiles() -> None:
    """Make both profiles known and load that of `make test`; ``--hypothesis-profile explore`` loads the other."""
    settings.register_profile(SAME, derandomize=True, database=None, deadline=None)
    more = MORE * settings().max_examples
    kept = DirectoryBasedExampleDatabase(FINDS)  # hypothesis keeps none by itself where CI is set
    settings.register_profile(
        EXPLORE, max_examples=more, derandomize=False, database=kept, deadline=None, print_blob=True
    )
    settings.load_profile(SAME)


def examples(count: int) -> settings:
    """A decorator for a test that takes long: ``count`` examples in place of hypothesis's 100."""
    return settings(max_examples=count if settings().derandomize else MORE * count)


def forget_constants() -> None:
    """Keep hypothesis from trying the constants of whatever modules of ours are loaded.

    They depend on what ran before in the same process, so with several workers a test would see other examples each
    time, with or without a seed.
    """
    none = providers.Constants()
    providers._get_local_constants = lambda: none


def seed_everything() -> None:
    """What a test draws without a generator of its own is the same, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
