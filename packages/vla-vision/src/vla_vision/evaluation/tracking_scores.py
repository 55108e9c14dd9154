"""How well identities are kept: MOTA, IDF1 and HOTA, counted by trackeval. Needs `vla-vision[eval]`.

MOTA: Bernardin & Stiefelhagen 2008. IDF1: Ristani et al. 2016, arXiv:1609.01775. HOTA: Luiten et al. 2020,
arXiv:2009.07736.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from vla_data.errors import DataError, MissingDependencyError
from vla_vision.tracking.association import overlaps


@dataclass(frozen=True, eq=False)
class Identified:
    """Who is where in one frame: int64 ids [N], float32 boxes [N, 4]."""

    ids: Int64[np.ndarray, "n"]
    boxes: Float32[np.ndarray, "n 4"]


Video = tuple[Sequence[Identified], Sequence[Identified]]  # truth and output, a frame each


@dataclass(frozen=True)
class TrackScores:
    """Scores over all boxes of all videos.

    Args:
        mota, idf1, hota: shares; MOTA falls below 0 where there are more errors than true boxes. HOTA is the
            mean over overlaps 0.05 … 0.95, as its authors report it.
        switches: how often a true object changed the identity it was given.
        truths, identities: true boxes, and true objects.
    """

    mota: float
    idf1: float
    hota: float
    switches: int
    truths: int
    identities: int


def score_tracking(videos: Iterable[Video]) -> TrackScores | None:
    """Scores of tracks against true ones; identities of different videos have nothing to do with each other.

    Args:
        videos: of each, the truth and the output, frame by frame.

    Returns:
        None where there is no true box.

    Raises:
        DataError: the frames of truth and output differ in number.
        MissingDependencyError: trackeval is not installed.
    """
    metrics = _metrics()
    given = [_as_trackeval(truth, output) for truth, output in videos]
    if not sum(video["num_gt_dets"] for video in given):
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        clear, identity, hota = (
            m.combine_sequences({str(i): m.eval_sequence(video) for i, video in enumerate(given)})
            for m in metrics
        )
    return TrackScores(
        float(clear["MOTA"]),
        float(identity["IDF1"]),
        float(np.mean(hota["HOTA"])),
        int(clear["IDSW"]),
        sum(video["num_gt_dets"] for video in given),
        sum(video["num_gt_ids"] for video in given),
    )


def _metrics() -> list[Any]:
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError as error:
        raise MissingDependencyError(
            "scores of tracks are counted by trackeval",
            expected="the extra vla-vision[eval]",
            got=str(error),
            next_step='pip install "vla-vision[eval]"',
        ) from error
    quiet = {"PRINT_CONFIG": False}
    with contextlib.redirect_stdout(io.StringIO()):
        return [CLEAR(quiet), Identity(quiet), HOTA(quiet)]


def _as_trackeval(truth: Sequence[Identified], output: Sequence[Identified]) -> dict[str, Any]:
    """What trackeval's metrics take: identities numbered from 0, overlaps a frame."""
    if len(truth) != len(output):
        raise DataError(
            "tracks and truth are of different frames",
            expected=f"{len(truth)} frames",
            got=f"{len(output)} frames",
        )
    numbered = []
    for frames in (truth, output):
        known: dict[int, int] = {}
        ids = [np.array([known.setdefault(i, len(known)) for i in f.ids.tolist()], int) for f in frames]
        numbered.append((ids, len(known)))
    (true_ids, truths), (said_ids, said) = numbered
    return {
        "num_gt_dets": sum(map(len, true_ids)),
        "num_tracker_dets": sum(map(len, said_ids)),
        "num_gt_ids": truths,
        "num_tracker_ids": said,
        "num_timesteps": len(truth),
        "gt_ids": true_ids,
        "tracker_ids": said_ids,
        "similarity_scores": [
            overlaps(a.boxes, b.boxes).astype(np.float64) for a, b in zip(truth, output, strict=True)
        ],
    }
