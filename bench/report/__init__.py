"""Figures and reports, drawn from tables."""
