"""Allocations beyond those of `strategies.allocation`, one file each: a change there measures everything again."""
