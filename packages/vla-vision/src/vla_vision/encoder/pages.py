"""The page of a training run: how much of the pictures tokens hold, the curves, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vla_data.charts import Line, LineChart
from vla_data.report import Block, Gallery, Media, Section, Table, Text
from vla_vision.depth.colours import colourise, depth_range
from vla_vision.encoder.clips import Clip, FeatureStore
from vla_vision.encoder.evaluation import PictureScore, remade
from vla_vision.encoder.inputs import FLOW_SCALE
from vla_vision.labels.pictures import write_picture
from vla_vision.types import DepthMap, Frame

if TYPE_CHECKING:
    from vla_vision.encoder.training import EncoderTraining

SHOWN, SCALE, ACROSS = 4, 3, 4
FASTEST = 1.0  # frame widths a second that are drawn in full colour
UNITS = {"colour": "levels of 255", "depth": "share of the depth", "flow": "frame widths a second"}
COLUMNS = ("picture", "unit", "time", "pixels", "from tokens", "mean picture")
EXPLANATION = (
    "Made from the tokens alone: this frame, and the one {ahead:g} s later. Mean absolute errors on held-out "
    "episodes; “mean picture” is the mean of each pixel of the same camera over training episodes, "
    "and no flow."
)
ORDER = "upper row: seen, made, later, made; lower row: depth, made, flow, made"


def describe(
    training: EncoderTraining,
    scores: Sequence[PictureScore],
    data: tuple[FeatureStore, Sequence[Clip], Sequence[Clip]],
    history: Mapping[str, Sequence[tuple[int, float]]],
    counts: Mapping[str, Any],
    out: Path,
) -> tuple[dict[str, Any], list[Section]]:
    """Summary and page of a run; pictures are written to `out/pictures`."""
    summary = summarise(training, scores, data, counts)
    rows = tuple(
        (s.kind, UNITS[s.kind], s.time, s.pixels, f"{s.encoder:.3g}", f"{s.baseline:.3g}") for s in scores
    )
    blocks: list[Block] = [
        Text(_said(training, summary)),
        Table(
            ("picture", "unit", "time", "pixels", "from tokens", "mean picture"), rows, "Held-out episodes"
        ),
        LineChart("Training", tuple(_curves(history)), x_label="step", log_y=True),
    ]
    made, looked = _pictures(training, data[2], out)
    blocks.append(Gallery(tuple(made), width=ACROSS * SCALE * training.config.encoder.features.width // 2))
    if looked:
        blocks += [
            Text("Where each patch token looks (TokenLearner's attention):"),
            Gallery(tuple(looked), 480),
        ]
    return summary, [Section("Encoder", tuple(blocks))]


def summarise(
    training: EncoderTraining,
    scores: Sequence[PictureScore],
    data: tuple[FeatureStore, Sequence[Clip], Sequence[Clip]],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """A run's result in plain values."""
    config, (store, learnt, held) = training.config.encoder, data
    summary: dict[str, Any] = {
        "parameters": sum(p.numel() for p in training.encoder.parameters()),
        "tokens_per_frame": config.tokens_per_frame,
        "token_width": config.width,
        "parts": config.parts,
        "channels": list(config.channels),
        "classes": list(config.features.class_names),
        "train_frames": sum(c.info.frames for c in learnt),
        "held_out_frames": sum(c.info.frames for c in held),
        "depth": sorted({c.depth for c in store.clips}),
        "objects_without_a_row": sum(c.left_out for c in store.clips),
        **counts,
    }
    for s in scores:
        if s.pixels == "moving":
            summary[f"{s.kind}_{s.time}_moving"] = round(s.encoder, 4)
            summary[f"{s.kind}_{s.time}_moving_mean_picture"] = round(s.baseline, 4)
    return summary


def _said(training: EncoderTraining, summary: Mapping[str, Any]) -> str:
    config = training.config
    tokens = f"{summary['tokens_per_frame']} tokens of {summary['token_width']} numbers a frame"
    detector = config.sight.detector or "no detector"
    seen = f"{summary['train_frames']:,} frames ({detector}; depth: {', '.join(summary['depth'])})"
    return f"{tokens}, trained on {seen}. {EXPLANATION.format(ahead=config.ahead)}"


def _curves(history: Mapping[str, Sequence[tuple[int, float]]]) -> list[Line]:
    names = ("loss", "rgb", "depth", "flow", "rows", "labels")
    kept = [(name, history[name]) for name in names if any(v > 0 for _, v in history.get(name, ()))]
    return [
        Line(name, tuple(float(s) for s, v in pairs if v > 0), tuple(v for _, v in pairs if v > 0))
        for name, pairs in kept
    ]


def _pictures(training: EncoderTraining, held: Sequence[Clip], out: Path) -> tuple[list[Media], list[Media]]:
    """A window from the middle of some held-out clips: pictures and attention."""
    made, looked = [], []
    step = max(1, len(held) // SHOWN)
    (out / "pictures").mkdir(exist_ok=True)
    for number, clip in enumerate(held[::step][:SHOWN]):
        _, batch, pictures = next(remade(training, [clip], 3))
        which = len(pictures) // 2
        one = {name: values[which : which + 1] for name, values in batch.items()}
        name = f"pictures/made-{number}.png"
        write_picture(out / name, _enlarged(_comparison(one, pictures[which].numpy())))
        made.append(Media(name, f"{clip.info.id} {clip.info.camera}: {ORDER}"))
        with torch.inference_mode():
            attention = training.encoder.attention(one)
        if attention is not None:
            name = f"pictures/attention-{number}.png"
            write_picture(out / name, _attention(one, attention[0, :, -1].numpy()))
            looked.append(Media(name, f"{clip.info.id} {clip.info.camera}, the latest frame"))
    return made, looked


def _comparison(batch: Mapping[str, Tensor], made: np.ndarray) -> Frame:
    """Seen beside made, of one window."""
    upper, lower = [], []
    for t, time in enumerate(("now", "next")):
        upper += [batch[f"{time}.rgb"][0].numpy(), _colours(made[t, :3])]
    true = DepthMap(batch["now.depth"][0].float().numpy(), "metric")
    said = DepthMap(np.exp(made[0, 3].clip(-4, 5)).astype(np.float32), "metric")
    span = depth_range(true)
    lower += [colourise(true, span), colourise(said, span)]
    flow = np.sinh(made[0, 4:].clip(-5, 5)) / FLOW_SCALE
    lower += [flow_colours(batch["now.flow"][0].float().numpy()), flow_colours(flow.transpose(1, 2, 0))]
    return np.concatenate([np.concatenate(upper, 1), np.concatenate(lower, 1)], 0)


def _colours(planes: np.ndarray) -> Frame:
    return ((planes.transpose(1, 2, 0) + 1) * 127.5).clip(0, 255).astype(np.uint8)


def flow_colours(flow: np.ndarray, fastest: float = FASTEST) -> Frame:
    """Direction as hue, speed as brightness: black does not move."""
    import cv2

    x, y = flow[..., 0].astype(np.float64), flow[..., 1].astype(np.float64)
    hue = (np.arctan2(y, x) / np.pi * 90) % 180
    value = 255 * np.sqrt(np.clip(np.hypot(x, y) / fastest, 0, 1))
    hsv = np.stack([hue, np.full_like(hue, 255), value], -1).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.uint8)


def _attention(batch: Mapping[str, Tensor], maps: np.ndarray) -> Frame:
    """The latest frame once for each token, lit where the token looks."""
    import cv2

    frame = batch["rgb"][0, -1].numpy()
    height, width = frame.shape[:2]
    lit = []
    for attention in maps:
        share = attention / max(float(attention.max()), 1e-9)
        mask = cv2.resize(share.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        lit.append((frame * (0.25 + 0.75 * mask[..., None])).astype(np.uint8))
    across = min(ACROSS, len(lit))
    lit += [np.zeros_like(frame)] * (-len(lit) % across)
    rows = [np.concatenate(lit[i : i + across], 1) for i in range(0, len(lit), across)]
    return _enlarged(np.concatenate(rows, 0))


def _enlarged(picture: np.ndarray) -> Frame:
    return picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
