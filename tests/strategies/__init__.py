"""Tests of the strategies, with small networks made for them."""
