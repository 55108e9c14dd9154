"""The two kinds of change: to an episode as a whole, and to each of its steps by itself.

They are apart because what they draw is: a camera that was mounted otherwise is so for the whole episode,
while a reading that fails does so at one instant. A change of one kind is refused where the other is asked
for.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from vla_data.types import Episode


@runtime_checkable
class EpisodeChange(Protocol):
    """Draws once from `rng`, and changes the whole episode by what it drew."""

    def __call__(self, episode: Episode, rng: np.random.Generator) -> Episode: ...


@runtime_checkable
class StepChange(Protocol):
    """Draws anew for every step; `rng` belongs to that step and to this change alone.

    `state` is float32 [state_dim], an image uint8 [height, width, 3]; what is left alone is given back.
    """

    def change_state(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...
    def change_image(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...
