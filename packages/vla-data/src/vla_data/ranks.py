"""Training on several devices: one process each. The first is the command itself; the others run the same
command again (Lightning's launcher), to help it train and do nothing else."""

from __future__ import annotations

import os


def is_helper() -> bool:
    """Whether this process only helps another to train: it draws nothing and leaves run directories alone."""
    return int(os.environ.get("LOCAL_RANK", "0") or 0) > 0
