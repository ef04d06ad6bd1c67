"""Tests of `bench.gate`."""
