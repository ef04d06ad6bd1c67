"""What everything else stands on: errors, files, seeds, caches, digests of code. Knows nothing of the benchmark."""
