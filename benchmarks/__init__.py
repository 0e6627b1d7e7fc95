"""Speed, measured: every figure is a ratio of two ways of doing the same work in one run."""
