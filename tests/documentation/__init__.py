"""Tests of `bench.documentation`."""
