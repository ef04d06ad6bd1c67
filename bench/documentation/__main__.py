"""`make docs`: write all pages anew."""

from __future__ import annotations

from bench.documentation import files, strategies

if __name__ == "__main__":
    files.main()
    strategies.main()
