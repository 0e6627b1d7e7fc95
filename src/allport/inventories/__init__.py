"""What is asked: item banks, keys, scales, norms and importers."""
