"""An experiment carried out: cells, keys, stages, and what comes of them. Read `cell.py` first."""
