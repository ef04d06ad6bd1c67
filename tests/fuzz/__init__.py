"""Seeded attempts to get something wrong through: `make fuzz`.

One file for each kind of attempt, each with ``attempts(seed, count, folder) -> Tally``; `__main__` runs them all.
"""
