"""Speed, measured: every figure is a ratio of two ways of doing the same work in one run."""

import sys
from pathlib import Path

# The recipe of the embedded model is a folder of scripts and no package.
sys.path.insert(0, str(Path(__file__).parent.parent / "recipes" / "embedded"))
