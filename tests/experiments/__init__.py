"""Tests of `bench.experiments`."""
