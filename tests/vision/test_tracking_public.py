"""The tracker on a public sequence, scored by trackeval beside a released tracker."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_vision.tracking import MotRows, Tracker, read_mot
from vla_vision.tracking.association import overlaps

Output = list[tuple[np.ndarray, np.ndarray]]


def peer(rows: MotRows) -> Output:
    import supervision

    import trackers

    tracker, output = trackers.BoTSORTTracker(enable_cmc=False), []
    for i in range(1, rows.frames + 1):
        d = rows.detections(i)
        given = supervision.Detections(xyxy=d.boxes, confidence=d.scores, class_id=d.classes)
        found = tracker.update(given)
        ids = np.asarray(found.tracker_id)
        output.append((ids[ids >= 0], found.xyxy[ids >= 0]))
    return output


def ours(rows: MotRows) -> Output:
    tracker = Tracker()
    tracks = [tracker.update(rows.detections(i)) for i in range(1, rows.frames + 1)]
    return [(t.ids, t.boxes) for t in tracks]


def scores(truth: MotRows, output: Output) -> tuple[float, float]:
    """MOTA and IDF1 in percent."""
    from trackeval.metrics import CLEAR, Identity

    numbers: tuple[dict[int, int], dict[int, int]] = ({}, {})
    data: dict[str, list[np.ndarray]] = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for i, (ids, boxes) in enumerate(output, 1):
        for key, known, given in zip(data, numbers, (truth.ids(i), ids), strict=False):
            data[key].append(np.array([known.setdefault(int(x), len(known)) for x in given], int))
        both = overlaps(truth.detections(i).boxes, boxes.astype(np.float32))
        data["similarity_scores"].append(both.astype(np.float64))
    counts = {
        "num_gt_dets": sum(map(len, data["gt_ids"])),
        "num_tracker_dets": sum(map(len, data["tracker_ids"])),
        "num_gt_ids": len(numbers[0]),
        "num_tracker_ids": len(numbers[1]),
        "num_timesteps": len(output),
    }
    found = [m({"PRINT_CONFIG": False}).eval_sequence({**data, **counts}) for m in (CLEAR, Identity)]
    return 100 * found[0]["MOTA"], 100 * found[1]["IDF1"]


def test_no_worse_than_a_released_tracker_on_a_public_sequence(shared: Path):
    directory = shared / "data" / "mot" / "TUD-Campus"
    found, truth = read_mot(directory / "det" / "det.txt"), read_mot(directory / "gt" / "gt.txt")
    mota, idf1 = scores(truth, ours(found))
    their_mota, their_idf1 = scores(truth, peer(found))
    assert mota >= their_mota > 60
    assert idf1 >= their_idf1 > 70
