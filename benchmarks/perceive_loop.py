"""The integrated loop on one core: detection, tracks, depth, flow and motion in space of 320×320 frames.

The same network sizes in torch, ONNX Runtime and OpenVINO, one thread each, and the whole process on one
core. Rates are frames per second of processor time, all threads together, reading included: what the loop
reaches on a core of its own, also when measured on a busy machine. Weights are untrained: what a frame costs
does not depend on what they say. So that the tracker has its usual work, what the detector says is replaced
by the simulator's boxes after it has run.

Depth is the compact network (96²) on every frame, in the loop's way, and beside it in a thread of its own.
The last rows take Depth Anything V2-Small (random weights, smallest input) in a thread, and as a limit every
stage in torch with Depth Anything at full size on every frame, which is what gluing the parts together gives.
On a machine with CUDA the torch rows run there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from _frame import Check, one_core, run
from vla_data import open_episodes
from vla_data.objects import BOXES
from vla_data.sim import CameraView
from vla_data.sim.generate import GenerateConfig, generate
from vla_data.types import Episode
from vla_vision.depth import LoadConfig, export_onnx, export_openvino, load_depth
from vla_vision.depth.compact import DepthOf, save_compact, torch_depth
from vla_vision.depth.config import TrainDepthConfig
from vla_vision.depth.network import CompactDepthNet
from vla_vision.depth.spec import DepthSpec
from vla_vision.detection import DetectOptions, DetectorRecord, load_detector
from vla_vision.detection.checkpoint import save_detector
from vla_vision.detection.export import export_detector
from vla_vision.detection.yolo import YoloNetwork
from vla_vision.perception import PRESETS, Models, PerceiveConfig, Perceiver, perceive_source
from vla_vision.perception.run import PerceiveSummary
from vla_vision.tracking import EpisodeFrames, HistogramEmbedder
from vla_vision.types import DepthModel, Detections, Detector, Frame

SIZE, CAMERA, TASK = 320, "corner4", "pick-place"
GOAL_HZ, GOAL_CUDA_HZ = 15.0, 60.0
FRAMES, SLOW_FRAMES, SMOKE_FRAMES, WARM = 150, 12, 12, 5
SYNC = replace(PRESETS["realtime"](), depth_async=False, depth_every=1)
ASYNC = PRESETS["realtime"]()
ENGINES = {"torch": "", "onnx": ".onnx", "openvino": ".xml"}


@dataclass
class Truth:
    """A detector whose work is done and whose word is not taken: the episode's boxes are said instead."""

    detector: Detector
    episode: Episode
    step: int = 0

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("thing",)

    def detect(self, images: Sequence[Frame]) -> list[Detections]:
        self.detector.detect(images)
        boxes = np.asarray(self.episode.series[BOXES + CAMERA][self.step], np.float32)
        self.step += len(images)
        boxes = boxes[boxes[:, 2] > boxes[:, 0]]
        count = len(boxes)
        return [
            Detections(boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int64), self.class_names)
        ]


def main(smoke: bool) -> list[Check]:
    """Each engine on the same frames; then depth in a thread, and the limit."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        episode = _episode(root / "data")
        detectors, depths = _detectors(root), _depths(root)
        large = _depth_anything(root)
        with one_core():
            torch.set_num_threads(1)
            return _rows(episode, detectors, depths, large, smoke)


def _rows(
    episode: Episode,
    detectors: dict[str, Detector],
    depths: dict[str, DepthModel],
    large: dict[str, DepthModel],
    smoke: bool,
) -> list[Check]:
    count = SMOKE_FRAMES if smoke else FRAMES
    found = {engine: _measure(episode, detectors[engine], depths[engine], SYNC, count) for engine in ENGINES}
    found["openvino, depth in a thread"] = _measure(
        episode, detectors["openvino"], depths["openvino"], ASYNC, count
    )
    found["openvino, Depth Anything V2-Small in a thread"] = _measure(
        episode, detectors["openvino"], large["openvino"], ASYNC, count
    )
    slow = _measure(episode, detectors["torch"], large["torch"], SYNC, SMOKE_FRAMES if smoke else SLOW_FRAMES)
    peer = f"{slow.rate:.2f} Hz: torch, Depth Anything at full size on every frame"
    checks = []
    for name, summary in found.items():
        goal = GOAL_HZ if name in ("onnx", "openvino", "openvino, depth in a thread") else None
        checks += _checks(name, summary, goal, peer, smoke)
    best = max(found["onnx"].rate, found["openvino"].rate)
    checks.append(Check("over the limit", best / slow.rate, "×", "> 1", peer, smoke or best > slow.rate))
    return checks + (_on_cuda(episode, smoke) if torch.cuda.is_available() else [])


def _checks(name: str, summary: PerceiveSummary, goal: float | None, peer: str, smoke: bool) -> list[Check]:
    stages = ", ".join(
        f"{stage} {row['ms_a_frame']:.1f}" for stage, row in summary.stages.items() if stage not in ("write",)
    )
    p99 = summary.stages["frame"]["p99_ms"]
    wanted = f">= {goal:g}" if goal else "shown"
    ok = smoke or goal is None or summary.rate >= goal
    return [
        Check(f"{name}: loop", summary.rate, "Hz", wanted, peer, ok),
        Check(f"{name}: p99 of a frame", p99, "ms", "shown", f"ms a frame: {stages}", True),
        Check(f"{name}: age of depth", summary.mean_depth_age, "frames", "shown", "", True),
    ]


def _measure(
    episode: Episode, detector: Detector, depth: DepthModel, config: PerceiveConfig, count: int
) -> PerceiveSummary:
    source = EpisodeFrames(episode, CAMERA)
    models = Models(Truth(detector, episode), depth, HistogramEmbedder())
    with Perceiver(models, config, source.intrinsics, (SIZE, SIZE)) as perceiver:
        for frame in islice(source, WARM):
            perceiver.update(frame)
    models = replace(models, detector=Truth(detector, episode))
    began = time.process_time()
    with Perceiver(models, config, source.intrinsics, (SIZE, SIZE)) as perceiver:
        summary = perceive_source(source, perceiver, limit=count)
    return replace(summary, rate=summary.frames / (time.process_time() - began))


def _episode(directory: Path) -> Episode:
    config = GenerateConfig(
        tasks=(TASK,),
        episodes=1,
        cameras=(CameraView(CAMERA, CAMERA, SIZE, SIZE),),
        labels=True,
        image_encoding="jpeg",
    )
    made = generate(config, directory, workers=1)
    return open_episodes(made["directory"])[0]


def _detectors(root: Path) -> dict[str, Detector]:
    record = DetectorRecord("yolo", "yolo26n", tuple(f"class {i}" for i in range(10)), SIZE)
    network, checkpoint = YoloNetwork(record.architecture, len(record.class_names)), root / "detector"
    from vla_data.fit import save_weights

    save_detector(checkpoint, record, lambda path: save_weights(network, path))
    found = {"torch": load_detector(checkpoint, options=DetectOptions(threads=1))}
    for engine in ("onnx", "openvino"):
        export_detector(checkpoint, engine, root / engine)
        found[engine] = load_detector(root / engine, options=DetectOptions(threads=1))
    return found


def _depths(root: Path) -> dict[str, DepthModel]:
    config = TrainDepthConfig()
    spec = DepthSpec("compact", "metric", config.height, 16, smooth=True)
    save_compact(root / "depth", CompactDepthNet(config.network), spec)
    model = load_depth(root / "depth")
    return {engine: _exported(model, root / f"depth{ending}", ending) for engine, ending in ENGINES.items()}


def _depth_anything(root: Path) -> dict[str, DepthModel]:
    """The smallest published size, random weights: full input in torch, the smallest input in OpenVINO."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    settings = DepthAnythingConfig(depth_estimation_type="metric", max_depth=10)
    DepthAnythingForDepthEstimation(settings).save_pretrained(root / "large")
    fast = load_depth(root / "large", LoadConfig(size="fast"))
    return {
        "torch": load_depth(root / "large", LoadConfig(size="full")),
        "openvino": _exported(fast, root / "large.xml", ".xml"),
    }


def _exported(model, path: Path, ending: str) -> DepthModel:
    if not ending:
        return model
    (export_onnx if ending == ".onnx" else export_openvino)(model, path, (SIZE, SIZE))
    return load_depth(path, LoadConfig(threads=1, precision="bf16"))


def _on_cuda(episode: Episode, smoke: bool) -> list[Check]:
    record = DetectorRecord("yolo", "yolo26n", tuple(f"class {i}" for i in range(10)), SIZE)
    from vla_vision.detection.yolo import detector_of

    network = YoloNetwork(record.architecture, len(record.class_names))
    detector = detector_of(network, record, DetectOptions(device="cuda"))
    config = TrainDepthConfig()
    spec = DepthSpec("compact", "metric", config.height, 16, smooth=True)
    depth = torch_depth(DepthOf(CompactDepthNet(config.network)), spec, "cuda")
    summary = _measure(episode, detector, depth, SYNC, SMOKE_FRAMES if smoke else FRAMES)
    return _checks("CUDA", summary, GOAL_CUDA_HZ, "one CPU core beside it", smoke)


if __name__ == "__main__":
    run(main, "perceive_loop")
