"""vla-data: contracts of the suite, and everything that yields episodes or moves a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_data.formats import open_episodes

__version__ = "0.1.0"
__all__ = ["__version__", "open_episodes"]


def __getattr__(name: str) -> Any:
    if name != "open_episodes":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vla_data.formats import open_episodes

    return open_episodes
