"""What is benchmarked: pruning strategies for generators. Needs torch, never `bench`."""
