"""Policies by the name their checkpoints carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vla_data.protocols import Policy
from vla_data.registry import lookup
from vla_model.checkpoint import read_checkpoint


def _compact(directory: Path, device: str) -> Policy:
    from vla_model.policies.learned import load_compact

    return load_compact(directory, device)


POLICIES: dict[str, Callable[[Path, str], Policy]] = {"compact": _compact}


def load_policy(checkpoint: Path, device: str = "cpu") -> Policy:
    """The policy of a checkpoint directory, ready to drive.

    Raises:
        CheckpointError: files do not match their manifest.
        UnknownNameError: a kind of policy this version does not know.
    """
    record, _ = read_checkpoint(checkpoint)
    return lookup("policy", POLICIES, record.policy)(checkpoint, device)
