"""Tests of `bench.check`."""
