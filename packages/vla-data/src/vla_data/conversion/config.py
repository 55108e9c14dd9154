"""How a data set is converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal["lerobot", "rlds"]
Images = Literal["keep", "png", "jpeg", "video"]


@dataclass(frozen=True)
class ConvertConfig:
    """How to convert.

    Args:
        to: the format to write.
        images: "keep" passes encoded frames on and makes PNG of others, "png" loses nothing, "jpeg" and
            "video" (LeRobot only) are smaller.
        splits: which splits; none means all.
        episodes: at most so many of each split.
        skip_corrupt: leave out and count what cannot be read or written, instead of stopping there.
        verify: read everything back and compare it.
        episodes_per_shard: of RLDS.
        name: of the new data set; empty keeps the source's.
    """

    to: Target = "lerobot"
    images: Images = "keep"
    splits: tuple[str, ...] = ()
    episodes: int | None = None
    skip_corrupt: bool = False
    verify: bool = True
    episodes_per_shard: int = 64
    name: str = ""
