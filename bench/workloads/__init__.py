"""The GANs under test, their data and their shipped weights."""
