"""Tests of `bench.tables`."""
