"""The site's own extension can be imported by the tests of it."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs/_ext"), str(ROOT / "tests"), str(ROOT)]  # …, benchmarks
