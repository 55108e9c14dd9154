"""What a measurement tells: a summary of plain values, and the sections of its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.report import Block, Gallery, Media, Section, Table, Text
from vla_vision.detection.pages import score_summary
from vla_vision.detection.scores import DetectionScores
from vla_vision.evaluation.album import Shown
from vla_vision.evaluation.scoring import Evaluation, GroupScores
from vla_vision.labels.pictures import write_picture
from vla_vision.perception.drawing import PerceptPainter
from vla_vision.types import Frame

PICTURES = "pictures"
WIDE = 640
NOTHING = "–"
WHITE = (255, 255, 255)
EXPLANATIONS = {
    "boxes": "mAP50: mean over classes of average precision where boxes overlap by half; mAP50-95 averages "
    "over overlaps up to 0.95 (COCO). Precision and recall are those of the most balanced confidence; “any "
    "class” asks only whether something was seen there.",
    "tracks": "MOTA counts misses, false boxes and switched identities; IDF1 how long identities last; HOTA "
    "weighs finding and keeping alike. 1 is perfect.",
    "motion": "3-D velocity of things that move faster than 5 cm/s, beside a difference of positions over "
    "five frames from the same boxes and depths, and beside “zero”: saying that nothing moves.",
    "depth": "AbsRel: mean error as a share of the depth. δ1: share of pixels within a factor of 1.25. "
    "“Pixel mean” and “constant” need no network and know these very frames.",
}


def describe(found: Evaluation, out: Path) -> tuple[dict[str, Any], list[Section]]:
    """Summary and page; pictures are written to `out`."""
    sections = [_overview(found)]
    for name, make in (("boxes", _boxes), ("tracks", _tracks), ("motion", _motion), ("depth", _depth)):
        table = make(found.groups)
        if table is not None:
            title = {"boxes": "Detection", "tracks": "Tracking", "motion": "Motion", "depth": "Depth"}[name]
            sections.append(Section(title, (Text(EXPLANATIONS[name]), *table)))
    sections.append(Section("Rate", (_stages(found),)))
    film = [] if found.film is None else [Media(found.film[0].name, f"{found.film[1]}, slowed down")]
    pictures = [_picture(shown, i, out) for i, shown in enumerate(found.shown)]
    if film or pictures:
        text = "Tracks in colours: number, class, distance, speed; an arrow shows half a second of motion."
        text += " True boxes are white." if pictures else ""
        sections.append(Section("Frames", (Text(text), Gallery((*film, *pictures), WIDE))))
    return summarise(found), sections


def summarise(found: Evaluation) -> dict[str, Any]:
    """JSON-ready figures; what could not be scored is None."""
    return {
        "rate": found.rate,
        "tokens_per_frame": found.tokens_per_frame,
        "tokens_per_second": found.tokens_per_second,
        "groups": {name: _figures(group) for name, group in found.groups.items()},
        "stages": found.stages,
    }


def _figures(group: GroupScores) -> dict[str, Any]:
    boxes, depth = group.boxes, group.depth
    return {
        "videos": group.videos,
        "frames": group.frames,
        "boxes": None
        if boxes is None
        else score_summary(boxes)
        | {
            "truths": boxes.truths,
            "by_class": {k: [round(v, 4) for v in r] for k, r in boxes.by_class.items()},
        },
        "tracks": None if group.tracks is None else _rounded(vars(group.tracks)),
        "motion": None if group.motion is None else _rounded(vars(group.motion)),
        "depth": None
        if depth is None
        else {
            "frames": depth.frames,
            "all": {name: _rounded(vars(s)) for name, s in depth.all.items()},
            "moving": {name: _rounded(vars(s)) for name, s in depth.moving.items()},
        },
    }


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}


def _overview(found: Evaluation) -> Section:
    columns = ("", "videos", "frames", "mAP50", "recall, any class", "HOTA", "velocity error", "depth δ1")
    rows = []
    for name, g in found.groups.items():
        rows.append(
            (
                name,
                f"{g.videos}",
                f"{g.frames:,}",
                NOTHING if g.boxes is None else f"{g.boxes.map50:.3f}",
                NOTHING if g.boxes is None else f"{g.boxes.recall_any_class:.3f}",
                NOTHING if g.tracks is None else f"{g.tracks.hota:.3f}",
                NOTHING if g.motion is None else f"{g.motion.velocity:.3f} m/s",
                NOTHING if g.depth is None else f"{g.depth.all['network'].delta1:.3f}",
            )
        )
    rate = f"{found.rate:g} frames a second"
    if found.tokens_per_frame:
        rate += f", {found.tokens_per_second:g} tokens a second ({found.tokens_per_frame} a frame)"
    scored = [i for i in range(len(columns)) if any(row[i] != NOTHING for row in rows)]
    table = Table(tuple(columns[i] for i in scored), tuple(tuple(row[i] for i in scored) for row in rows))
    return Section("Perception", (table, Text(f"{rate} on this machine.")))


def _boxes_row(b: DetectionScores) -> tuple[str, ...]:
    return _three(b.map50, b.map50_95, b.precision, b.recall, b.recall_any_class, b.recall_of_ten)


def _boxes(groups: Mapping[str, GroupScores]) -> list[Block] | None:
    columns = (
        "",
        "true boxes",
        "mAP50",
        "mAP50-95",
        "precision",
        "recall",
        "recall, any class",
        "of ten boxes",
    )
    found = {name: g.boxes for name, g in groups.items() if g.boxes is not None}
    if not found:
        return None
    rows = tuple((name, f"{b.truths:,}", *_boxes_row(b)) for name, b in found.items())
    first = next(iter(found.values()))
    by_class = tuple(
        (name, f"{count:,}", *_three(ap50, ap)) for name, (ap50, ap, count) in first.by_class.items()
    )
    return [
        Table(columns, rows),
        Table(("class", "true boxes", "AP50", "AP50-95"), by_class, next(iter(found))),
    ]


def _tracks(groups: Mapping[str, GroupScores]) -> list[Block] | None:
    columns = ("", "true objects", "true boxes", "MOTA", "IDF1", "HOTA", "switches")
    rows = tuple(
        (name, f"{t.identities:,}", f"{t.truths:,}", *_three(t.mota, t.idf1, t.hota), f"{t.switches:,}")
        for name, g in groups.items()
        if (t := g.tracks) is not None
    )
    return [Table(columns, rows)] if rows else None


def _motion(groups: Mapping[str, GroupScores]) -> list[Block] | None:
    columns = (
        "",
        "scored",
        "of moving",
        "filter",
        "radial",
        "lateral",
        "five frames",
        "zero",
        "filter, median",
    )
    rows = tuple(
        (
            name,
            f"{m.scored:,}",
            f"{m.moving:,}",
            *_three(m.velocity, m.radial, m.lateral, m.difference, m.zero, m.median_velocity),
        )
        for name, g in groups.items()
        if (m := g.motion) is not None
    )
    return [Table(columns, rows, "Mean errors, m/s")] if rows else None


def _depth(groups: Mapping[str, GroupScores]) -> list[Block] | None:
    columns = ("", "pixels", "method", "AbsRel", "δ1", "RMSE (m)")
    rows = tuple(
        (name, kind, method, *_three(s.abs_rel, s.delta1, s.rmse))
        for name, g in groups.items()
        if g.depth is not None
        for kind, scores in (("all", g.depth.all), ("moving", g.depth.moving))
        for method, s in scores.items()
    )
    return [Table(columns, rows)] if rows else None


def _three(*values: float) -> tuple[str, ...]:
    return tuple(f"{v:.3f}" for v in values)


def _stages(found: Evaluation) -> Table:
    columns = ("stage", "calls", "mean ms", "p50 ms", "p99 ms", "ms a frame")
    rows = tuple((name, *(f"{v:g}" for v in row.values())) for name, row in found.stages.items())
    return Table(columns, rows, "Time of each stage")


def _picture(shown: Shown, number: int, out: Path) -> Media:
    path = out / PICTURES / f"{number:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_picture(path, overlay(shown))
    return Media(f"{PICTURES}/{path.name}", shown.name)


def overlay(shown: Shown) -> Frame:
    """A frame with what was perceived, and the true boxes in white."""
    import cv2

    image = shown.percept.image
    assert image is not None
    picture = np.ascontiguousarray(PerceptPainter().draw(shown.percept))
    times = picture.shape[0] / image.shape[0]
    for box in (shown.labels.objects.boxes * times).round().astype(int).tolist():
        cv2.rectangle(picture, box[:2], box[2:], WHITE, 1)
    return picture
