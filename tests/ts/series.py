"""Made-up chunks: smooth motions with a switch, as codecs meet them."""

from __future__ import annotations

import numpy as np
from tests.ts.conftest import SPEC, reach

from vla_ts import Trajectories


def reaching(count: int = 20, first: int = 0) -> Trajectories:
    """Demonstrations like those of `tests.ts.conftest`."""
    return Trajectories(
        "reaching", SPEC, tuple(reach(np.random.default_rng(first + i)) for i in range(count))
    )
