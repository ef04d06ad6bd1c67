"""Tests of `bench.cli`."""
