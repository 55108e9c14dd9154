"""The training behind `vla vision train-depth`: episodes with depth in, a measured depth network out.

Notable features:
- every camera counts alike whatever its number of frames; each picture is seen by virtual cameras around the
  real one (`views`), in canonical depth, so that cameras never seen can be measured through
- frames are a pure function of the step, so that training resumes to the same weights
- measured on episodes that were never trained on, every camera by itself, one perhaps never seen at all
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from vla_data.errors import DataError
from vla_data.fit import fit
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_vision.depth.compact import SUBDIRECTORY, DepthOf, read_compact, save_compact
from vla_vision.depth.config import STRIDE, TrainDepthConfig
from vla_vision.depth.evaluation import CameraScore, evaluate
from vla_vision.depth.frames import DepthFrames, read_frames
from vla_vision.depth.losses import gradient_loss, scale_invariant_loss
from vla_vision.depth.network import CompactDepthNet
from vla_vision.depth.pages import describe
from vla_vision.depth.spec import DepthSpec
from vla_vision.depth.views import random_views

MEASURED = 1500  # held-out frames of all cameras
TOGETHER = 32


class DepthTraining(nn.Module):
    """A network that gives log canonical depth, and what it is trained on."""

    def __init__(self, network: nn.Module, config: TrainDepthConfig, spec: DepthSpec) -> None:
        super().__init__()
        self.network, self.config = network, config
        self.spec = spec

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`images` [B, 3, h, w] in [0, 1], `depth` [B, h, w] canonical, 0 where unknown."""
        images = batch["images"]
        mean, std = (
            torch.tensor(v, device=images.device)[:, None, None] for v in (self.spec.mean, self.spec.std)
        )
        normal = (images - mean) / std
        known = batch["depth"] > 0
        error = self.network(normal).float() - torch.log(torch.where(known, batch["depth"], 1.0))
        loss = scale_invariant_loss(error, known, self.config.invariance)
        edges = gradient_loss(error, known)
        off = torch.where(known, error, 0.0).abs().sum() / known.sum().clamp(min=1)
        return {"loss": loss + self.config.gradient * edges, "log_error": off.detach()}


class ViewBatches:
    """Batches of virtual views, a pure function of the step."""

    def __init__(self, frames: DepthFrames, config: TrainDepthConfig) -> None:
        self.frames, self.config = frames, config
        self.by_camera = [np.flatnonzero(frames.camera == c) for c in np.unique(frames.camera)]

    def __call__(self, step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.config.fit.seed, step))
        which = rng.integers(0, len(self.by_camera), self.config.fit.batch_size)
        index = np.array([rng.choice(self.by_camera[c]) for c in which])
        images = torch.from_numpy(self.frames.images[index]).permute(0, 3, 1, 2).float() / 255
        depth = torch.from_numpy(self.frames.depth[index].astype(np.float32))
        height = depth.shape[1]
        focal = torch.from_numpy(self.frames.focal[index]) * height
        images, depth, focal = random_views(images, depth, focal, self.config.views, rng)
        return {"images": images, "depth": depth * (height / focal)[:, None, None]}


def train_depth(
    source: EpisodeSource,
    config: TrainDepthConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    skip_corrupt: bool = False,
) -> tuple[dict[str, Any], list[Section]]:
    """Train on the episodes' depth, write the network to `out/depth`, measure it on held-out episodes.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        DataError: there is no depth, too few episodes, or an unreadable one and `skip_corrupt` is off.
        CheckpointError: the weights to go on from cannot be read.
        DivergedError: the loss became NaN or infinite.
    """
    skipped: list[Skipped] = []
    frames = read_frames(source, config, skip_corrupt=skip_corrupt, skipped=skipped, on_progress=on_progress)
    learnt, held = split_frames(frames, config, source.name)
    trained = _without(learnt, config.unseen)
    network, spec = _start(config, trained)
    training = DepthTraining(network, config, spec)
    result = fit(training, ViewBatches(trained, config), config.fit, out, on_progress, stage="train-depth")
    network.eval()
    save_compact(out / SUBDIRECTORY, network, spec)
    scores = evaluate(lambda f: predict(network, spec, f), learnt, _some(held))
    counts = {"frames": len(trained), "held_out_frames": len(held), "frames_without_depth": frames.empty}
    counts |= {"skipped_episodes": len(skipped), "seconds_training": result.seconds}
    summary = summarise(scores, config, counts, frames)
    examples = _examples(network, spec, held, config.unseen)
    return summary, [describe(scores, config, summary, examples, result.history["log_error"], out)]


def split_frames(frames: DepthFrames, config: TrainDepthConfig, name: str) -> tuple[DepthFrames, DepthFrames]:
    """Frames of training and of held-out episodes, drawn with the configuration's seed.

    Raises:
        DataError: fewer than two episodes have depth, or no camera is left to train on.
    """
    episodes = np.unique(frames.episode)
    if len(episodes) < 2 or not len(_without(frames, config.unseen)):
        raise DataError(
            "there is too little to train a depth network on and measure it",
            where=name,
            expected="two episodes with depth, and a camera beside the unseen one",
            got=f"{len(episodes)} episodes, cameras {', '.join(frames.cameras)}",
            next_step="make more with: vla data generate metaworld --labels --out DIR",
        )
    count = min(len(episodes) - 1, max(1, round(config.holdout * len(episodes))))
    held = np.random.default_rng(config.fit.seed).permutation(episodes)[:count]
    kept = np.isin(frames.episode, held)
    return frames.select(~kept), frames.select(kept)


def predict(network: CompactDepthNet, spec: DepthSpec, frames: DepthFrames) -> Float32[np.ndarray, "n h w"]:
    """Metres for frames of the training size, whose focal lengths are known."""
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    module, found = DepthOf(network).eval(), []
    with torch.inference_mode():
        for start in range(0, len(frames), TOGETHER):
            images = frames.images[start : start + TOGETHER].astype(np.float32) / 255
            normal = np.ascontiguousarray(((images - mean) / std).transpose(0, 3, 1, 2))
            found.append(module(torch.from_numpy(normal)).numpy())
    return np.concatenate(found) * frames.focal[:, None, None]


def summarise(
    scores: list[CameraScore], config: TrainDepthConfig, counts: dict[str, Any], frames: DepthFrames
) -> dict[str, Any]:
    """A run's result in plain values: figures per camera, and those of the unseen one."""

    def figures(values: Mapping[str, Any] | None) -> dict[str, float] | None:
        if values is None:
            return None
        return {
            f"{name} {what}".replace("network ", ""): round(getattr(s, what), 4)
            for name, s in values.items()
            for what in ("abs_rel", "delta1", "rmse")
        }

    cameras = {s.camera: {"all": figures(s.all), "moving": figures(s.moving)} for s in scores}
    seen = [s.all["network"].delta1 for s in scores if s.camera != config.unseen and "network" in s.all]
    summary: dict[str, Any] = {"kind": "metric (m, larger is farther)", **counts}
    summary["delta1_seen_cameras"] = round(float(np.mean(seen)), 4) if seen else None
    if config.unseen is not None:
        summary["unseen_camera"] = config.unseen
        summary["delta1_unseen_camera"] = (cameras.get(config.unseen, {}).get("all") or {}).get("delta1")
    if frames.unknown_focal:
        summary["cameras_without_intrinsics"] = list(frames.unknown_focal)
    return summary | {"cameras": cameras}


def _start(config: TrainDepthConfig, frames: DepthFrames) -> tuple[CompactDepthNet, DepthSpec]:
    torch.manual_seed(config.fit.seed)
    if config.weights is not None:
        return read_compact(Path(config.weights))
    focal = float(np.median(frames.focal))
    shorter = min(config.height, config.width)
    spec = DepthSpec("compact", "metric", shorter, STRIDE, canonical=True, focal=focal, smooth=True)
    network = CompactDepthNet(config.network)
    with torch.no_grad():  # start from the typical depth
        known = (frames.depth.astype(np.float32) / frames.focal[:, None, None])[frames.depth > 0]
        network.head.bias.fill_(float(np.log(known).mean())) if network.head.bias is not None else None
    return network, spec


def _without(frames: DepthFrames, camera: str | None) -> DepthFrames:
    if camera is None or camera not in frames.cameras:
        return frames
    return frames.select(frames.camera != frames.cameras.index(camera))


def _some(frames: DepthFrames) -> DepthFrames:
    step = -(-len(frames) // MEASURED)
    return frames.select(np.arange(0, len(frames), step))


def _examples(
    network: CompactDepthNet, spec: DepthSpec, held: DepthFrames, unseen: str | None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Camera → a held-out frame, its depth and what the network says; the unseen camera first."""
    found = {}
    for camera in sorted(held.cameras, key=lambda name: name != unseen):
        frames = held.of_camera(camera)
        if len(frames):
            one = frames.select(np.array([len(frames) // 2]))
            found[camera] = (one.images[0], one.depth[0].astype(np.float32), predict(network, spec, one)[0])
    return found
