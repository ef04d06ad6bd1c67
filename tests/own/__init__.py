"""Workloads of the user's own."""
