"""What is removed: single weights or whole channels. From scores to a pruned network."""
