"""Tests of figures and reports, with the synthetic run that they draw."""
