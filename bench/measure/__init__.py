"""One file per kind of number: quality, agreement, complexity, footprint, latency."""
