"""What moves a robot or asks one that does: policies elsewhere. No torch is needed here."""

from __future__ import annotations


def is_remote(policy: str) -> bool:
    """Whether a policy's name is an address."""
    return policy.startswith(("ws://", "wss://"))
