"""What the tests share."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data():
    """Return the folder with the real MNIST and Fashion-MNIST that some machines have."""
    if not (SHARED_DATA / "MNIST").is_dir():
        pytest.skip(f"needs the real data sets in {SHARED_DATA.parent.name}/{SHARED_DATA.name}")
    return SHARED_DATA
