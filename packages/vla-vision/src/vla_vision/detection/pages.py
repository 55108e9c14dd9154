"""What a training run of a detector tells: its summary and the sections of its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from vla_data.charts import Line, LineChart
from vla_data.fit import FitResult
from vla_data.report import Gallery, Media, Section, Table
from vla_vision.depth.sources import read_image
from vla_vision.detection.checkpoint import DetectorRecord
from vla_vision.detection.drawing import draw_detections
from vla_vision.detection.samples import YoloData
from vla_vision.detection.scores import DetectionScores
from vla_vision.labels.pictures import write_picture
from vla_vision.types import Detections

SHOWN, SIDE = 8, 320
LEAST_CONFIDENCE = 0.1  # of a drawn box, where the best working point is lower


def describe(
    network: nn.Module,
    data: YoloData,
    record: DetectorRecord,
    result: FitResult,
    scores: DetectionScores,
    found: Sequence[tuple[Path, Detections]],
    taken: int,
    out: Path,
) -> tuple[dict[str, Any], list[Section]]:
    """Summary and page of a training run; pictures are written to `out/pictures`."""
    summary = {
        "architecture": record.architecture,
        "parameters": sum(p.numel() for p in network.parameters()),
        "image_size": record.image_size,
        "train_images": len(data.splits["train"]),
        "val_images": len(data.splits["val"]),
        "skipped_images": len(data.skipped),
        "classes": len(record.class_names),
        "tensors_taken_over": taken,
        "train_seconds": round(result.seconds, 1),
        **score_summary(scores),
    }
    rows = tuple(
        (k.replace("_", " "), f"{v:,}" if isinstance(v, (int, float)) else str(v)) for k, v in summary.items()
    )
    blocks = (Table(("", "value"), rows), *_curves(result), _classes(scores), _gallery(found, scores, out))
    return summary, [Section("Detector training", blocks)]


def score_summary(scores: DetectionScores) -> dict[str, float]:
    """The scores in a few plain values."""
    names = ("map50", "map50_95", "precision", "recall", "confidence", "recall_any_class", "recall_of_ten")
    return {name: round(getattr(scores, name), 4) for name in names}


def _curves(result: FitResult) -> list[LineChart]:
    groups = {"Loss": ("loss", "box", "cls", "l1", "dfl"), "Validation": ("map50", "map50_95")}
    charts = []
    for title, names in groups.items():
        lines = tuple(
            _line(name, result.history[name]) for name in names if len(result.history.get(name, ())) > 1
        )
        if lines:
            charts.append(LineChart(title, lines, x_label="step", log_y=title == "Loss"))
    return charts


def _line(name: str, values: Sequence[tuple[int, float]]) -> Line:
    return Line(name.replace("_", "-"), tuple(float(s) for s, _ in values), tuple(v for _, v in values))


def _classes(scores: DetectionScores) -> Table:
    rows = tuple(
        (name, f"{count:,}", f"{ap50:.3f}", f"{ap:.3f}")
        for name, (ap50, ap, count) in scores.by_class.items()
    )
    return Table(("class", "true boxes", "AP50", "AP50-95"), rows, "On the validation images")


def _gallery(found: Sequence[tuple[Path, Detections]], scores: DetectionScores, out: Path) -> Gallery:
    """A few validation images, evenly spread, with the boxes at the best working point."""
    least = max(LEAST_CONFIDENCE, scores.confidence)
    items = []
    for i in np.unique(np.linspace(0, len(found) - 1, SHOWN).round().astype(int)):
        path, detections = found[i]
        kept = detections.select(detections.scores >= least)
        name = f"pictures/{i:05d}.png"
        (out / name).parent.mkdir(exist_ok=True)
        write_picture(out / name, draw_detections(read_image(path), kept, least_side=SIDE))
        items.append(Media(name, f"{path.name}: {len(kept)} found"))
    return Gallery(tuple(items), SIDE)
