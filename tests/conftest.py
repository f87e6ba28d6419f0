"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline: on a machine that does other work besides, an example may take a hundred times as long as the one before.
settings.register_profile("msm", deadline=None)
settings.load_profile("msm")
