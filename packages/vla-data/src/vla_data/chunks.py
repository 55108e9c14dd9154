"""Action chunks: the next `horizon` actions at every step of an episode.

The one place that says what a chunk is, so that codec and policy train on the same thing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from vla_data.errors import DataError


def pad_actions(
    action: Float32[np.ndarray, "time action_dim"], horizon: int
) -> Float32[np.ndarray, "padded action_dim"]:
    """`action` with its last row repeated `horizon - 1` times: [T + horizon - 1, action_dim].

    The last row is repeated for delta actions too, rather than zeros put there: a chunk near the end then
    says "go on with what you were doing" as a demonstrator does who stops when the task is done, and a
    policy that is not quite there yet does not learn to stand still.

    Raises:
        DataError: there is no step, `action` is not a matrix, or `horizon` is less than 1.
    """
    if action.ndim != 2 or len(action) == 0 or horizon < 1:
        raise DataError(
            "no action chunks can be cut",
            expected="actions [T ≥ 1, action_dim] and a horizon of at least 1",
            got=f"shape {action.shape}, horizon {horizon}",
        )
    return np.concatenate([action, np.repeat(action[-1:], horizon - 1, axis=0)])


def chunk_actions(
    action: Float32[np.ndarray, "time action_dim"], horizon: int
) -> Float32[np.ndarray, "time horizon action_dim"]:
    """The next `horizon` actions at every step, float32 [T, horizon, action_dim], padded by `pad_actions`.

    A read-only view on T + horizon - 1 rows: copy what is to be changed or kept.

    Raises:
        DataError: as `pad_actions`.
    """
    windows = np.lib.stride_tricks.sliding_window_view(pad_actions(action, horizon), horizon, axis=0)
    return windows.transpose(0, 2, 1)
