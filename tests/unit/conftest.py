"""The engine of unit tests runs in the Python of the tests, whatever a user's variable says."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_python():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPECKLESS_PYTHON", raising=False)
        yield
