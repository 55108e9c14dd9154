"""The page of a training run: figures per camera beside the baselines, the curve, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.charts import Line, LineChart
from vla_data.files import write_bytes
from vla_data.report import Block, Gallery, Media, Section, Table, Text
from vla_vision.depth.colours import colourise, depth_range, error_colours
from vla_vision.depth.config import TrainDepthConfig
from vla_vision.depth.evaluation import CameraScore, DepthScore
from vla_vision.types import DepthMap

COLUMNS = ("camera", "pixels", "method", "AbsRel", "δ1", "RMSE (m)")
SHOWN = 8
SCALE = 2  # pictures are shown that many times larger
EXPLANATION = (
    "AbsRel: mean error as a share of the depth. δ1: share of pixels within a factor of 1.25. Moving: pixels "
    "of objects that move. “Pixel mean” and “constant” know the camera they are measured on from training "
    "episodes, also the one that the network never saw."
)

Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def describe(
    scores: Sequence[CameraScore],
    config: TrainDepthConfig,
    summary: Mapping[str, Any],
    examples: Mapping[str, Example],
    curve: Sequence[tuple[int, float]],
    out: Path,
) -> Section:
    """The section of a run's page; its pictures are written to `out`."""
    unseen = "" if config.unseen is None else f" {config.unseen} was never trained on."
    text = (
        f"Trained on {summary['frames']} frames at {config.width}×{config.height}, measured on "
        f"{summary['held_out_frames']} frames of other episodes.{unseen} {EXPLANATION}"
    )
    line = Line("log error", tuple(float(s) for s, _ in curve), tuple(v for _, v in curve))
    blocks: list[Block] = [
        Text(text),
        table(scores, config.unseen),
        LineChart("Training: mean |log error|, virtual views", (line,), x_label="step", log_y=True),
        Gallery(tuple(_pictures(examples, out)), width=640),
    ]
    return Section("Depth", tuple(blocks))


def table(scores: Sequence[CameraScore], unseen: str | None) -> Table:
    """A row a camera, kind of pixels and method; the unseen camera first."""
    rows = []
    for s in sorted(scores, key=lambda s: s.camera != unseen):
        name = f"{s.camera} (unseen)" if s.camera == unseen else s.camera
        for pixels, values in (("all", s.all), ("moving", s.moving or {})):
            rows += [(name, pixels, method, *_figures(v)) for method, v in values.items()]
    return Table(COLUMNS, tuple(rows), "Held-out episodes")


def _figures(score: DepthScore) -> tuple[str, str, str]:
    return f"{score.abs_rel:.3f}", f"{score.delta1:.3f}", f"{score.rmse:.3f}"


def _pictures(examples: Mapping[str, Example], out: Path) -> list[Media]:
    import cv2

    found = []
    for number, (camera, (image, true, predicted)) in enumerate(list(examples.items())[:SHOWN]):
        truth = DepthMap(true, "metric")
        span = depth_range(truth)
        said = DepthMap(predicted.astype(np.float32), "metric")
        row = [image, colourise(truth, span), colourise(said, span), error_colours(predicted, true)]
        wide = np.concatenate(row, axis=1)
        wide = cv2.resize(wide, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
        name = f"example-{number}.png"
        write_bytes(out / name, cv2.imencode(".png", wide[..., ::-1])[1].tobytes())
        caption = f"{camera}: picture, depth, said, error (red: too far, blue: too near, full at ×1.25)"
        found.append(Media(name, caption))
    return found
