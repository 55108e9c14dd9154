"""Policies by the name their checkpoints carry."""

from __future__ import annotations

from pathlib import Path

from vla_data.protocols import Policy


def load_policy(checkpoint: Path, device: str = "cpu") -> Policy:
    """The policy of a checkpoint directory, ready to drive.

    Raises:
        CheckpointError: files do not match their manifest.
        UnknownNameError: a kind of policy this version does not know.
    """
    from vla_model.policies.learned import load_learned

    return load_learned(checkpoint, device)
