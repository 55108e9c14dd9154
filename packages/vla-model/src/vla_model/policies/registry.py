"""Policies by where they are: a checkpoint, or an address."""

from __future__ import annotations

from pathlib import Path

from vla_data.protocols import Policy
from vla_data.robots import is_remote


def load_policy(where: str | Path, device: str = "cpu") -> Policy:
    """The policy of a checkpoint directory, or behind an address (`ws://host:port`), ready to drive.

    Raises:
        CheckpointError: files do not match their manifest.
        UnknownNameError: a kind of policy this version does not know.
        RemotePolicyError: nobody answers at an address.
    """
    if isinstance(where, str) and is_remote(where):
        from vla_data.robots.remote_policy import RemotePolicy

        return RemotePolicy(where)
    from vla_model.policies.learned import load_learned

    return load_learned(Path(where), device)
