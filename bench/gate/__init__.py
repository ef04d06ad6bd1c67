"""The regression gate: what `ganprune compare` compares, by which rules, and how the verdicts are shown."""
