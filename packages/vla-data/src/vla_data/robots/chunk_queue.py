"""The actions that come next, put together from chunks that arrive while the robot moves.

A chunk is computed while the one before it is carried out. What was carried out meanwhile is skipped, and
where both chunks say something the new one is faded in, so that the motion has no corner at the seam.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Float32


class ChunkQueue:
    """Actions by number: the n-th that is sent since the queue was made.

    Counted in actions and not in time: a robot that stands still while a policy thinks begins the chunk at
    its beginning.

    Args:
        blend: over how many actions a new chunk is faded in; 0 switches at once.
    """

    def __init__(self, blend: int) -> None:
        self._blend = blend
        self._waiting: deque[np.ndarray] = deque()
        self.sent = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, actions: Float32[np.ndarray, "horizon action_dim"], made_at: int) -> int:
        """Put a chunk in place of what waits; how many of its actions are still to come.

        Args:
            made_at: `sent` when the observation was made that the chunk is an answer to.
        """
        passed = self.sent - made_at
        assert passed >= 0, "a chunk from an observation that was not made yet"
        coming = [np.array(a, np.float32) for a in actions[passed:]]
        for i, (old, new) in enumerate(zip(self._waiting, coming, strict=False)):
            if i == self._blend:
                break
            share = (i + 1) / (self._blend + 1)
            coming[i] = ((1 - share) * old + share * new).astype(np.float32)
        if coming:
            self._waiting = deque(coming)
        return len(coming)

    def next(self) -> Float32[np.ndarray, "action_dim"] | None:
        """The next action, which is then counted as sent; None where there is none."""
        if not self._waiting:
            return None
        self.sent += 1
        return self._waiting.popleft()

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
