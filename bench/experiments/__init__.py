"""Experiment files: those that are shipped, and how one is read."""
