"""What tokens hold: linear probes for position, depth and velocity of the gripper and of the task's object.

Twenty Meta-World tasks, seen by one camera. A ridge regression on frozen tokens is fitted on four episodes of
each task and measured on another placement of each. R² counts against the mean of the same task's training
frames (position) or of all (velocity): what is won by knowing the task alone is won by the floor too. Patch
tokens are read as one row of numbers. Of object tokens the probe gets the one whose class was asked for with
the best score (a language model finds it by attention); a frame where nothing was found counts as it is.

Object tokens come from pixels by a trained detector where DIR/detector holds a run of `vla vision train`;
beside it, and in its place where there is none, from the simulator's boxes made worse: corners off by 5% of
the box, one in ten missing. Depth is by DIR/depth, a run of `vla vision train-depth`, else the simulator's,
as a depth camera would give it. Beside the encoders stand one with random weights, the principal components
of the pixels that the patches see, and as a limit the simulator's own table in place of perception's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from _frame import Check, run_in
from _perception_data import perception_data
from _weights import CACHE
from vla_data import open_episodes
from vla_data.config import merge
from vla_data.objects import BOXES, VISIBLE, in_camera, object_names
from vla_data.protocols import EpisodeSource
from vla_data.types import Episode
from vla_vision.encoder import Clip, EncoderConfig, FeatureConfig, VideoEncoder
from vla_vision.encoder.extraction import ExtractConfig, look_at
from vla_vision.encoder.features import empty_table
from vla_vision.encoder.inputs import planes
from vla_vision.encoder.tokens import to_batch
from vla_vision.encoder.train_config import TrainEncoderConfig
from vla_vision.encoder.training import fit_encoder
from vla_vision.encoder.windows import WindowTable, plain_batch
from vla_vision.labels.naming import class_names_of
from vla_vision.perception import Sight, SightConfig
from vla_vision.tracking.sources import FrameSource, SourceFrame

CAMERA, HAND = "corner4", "gripper"
STEPS, SMOKE_STEPS = 1600, 5
TRAIN_EPISODES, HELD_EPISODES = 4, 1  # of each task
EVERY = 3  # frames of training episodes between those that a probe is fitted on: at 80 Hz they are much alike
CORNERS, MISSING = 0.05, 0.1
COMPONENTS = 256
PENALTIES = 10.0 ** np.arange(-1, 6)
MOVING = 0.05  # m/s
NEAR_FLOOR, GAIN, SLACK = 0.35, 0.2, 0.05

Rows = Callable[[Clip, str], np.ndarray]  # numbers of each frame, for one of `TARGETS`
TARGETS = (HAND, "object")


@dataclass(frozen=True, eq=False)
class Data:
    """Clips of training and of held-out placements, in the order of their episodes, and the task of each."""

    learnt: list[Clip]
    held: list[Clip]
    tasks: tuple[list[str], list[str]]

    @property
    def names(self) -> tuple[str, ...]:
        return self.class_names

    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """Of one target: R² of position and velocity; median errors, cm and cm/s (of what moves), and floors."""

    position_r2: float
    velocity_r2: float
    position: tuple[float, float]
    depth: tuple[float, float]
    velocity: tuple[float, float]

    def words(self) -> str:
        pairs = (
            ("position", self.position, "cm"),
            ("depth", self.depth, "cm"),
            ("moving", self.velocity, "cm/s"),
        )
        medians = [f"{name} {own:.1f} {unit} (floor {floor:.1f})" for name, (own, floor), unit in pairs]
        return f"{', '.join(medians)}, velocity R² {self.velocity_r2:.2f}"


class RoughBoxes(Sight):
    """A detector that errs: the labels' boxes, some missing, none quite right."""

    def boxed(self, source: FrameSource) -> Iterator[SourceFrame]:
        rng = np.random.default_rng(0)
        for frame in super().boxed(source):
            found = frame.detections
            assert found is not None
            size = np.tile(found.boxes[:, 2:] - found.boxes[:, :2], 2)
            moved = found.boxes + CORNERS * size * rng.normal(size=found.boxes.shape)
            found = replace(found, boxes=moved.astype(np.float32))
            yield replace(frame, detections=found.select(rng.random(len(found)) >= MISSING))


def main(smoke: bool, directory: Path) -> list[Check]:
    """All probes; the data is made where it is not there yet."""
    torch.set_num_threads(1)
    made = perception_data(directory / "data", smoke)
    sources = [open_episodes(str(path), "train") for path in (made.train, made.placements)]
    depth = str(directory / "depth") if (directory / "depth" / "manifest.json").is_file() else "sensor"
    classes = class_names_of(sources[0])
    rough = _look(sources, RoughBoxes(SightConfig("labels", depth), classes), classes)
    told = {"rough boxes": rough}
    if (directory / "detector" / "manifest.json").is_file():
        sight = Sight(SightConfig(str(directory / "detector"), depth))
        told = {"detector": _look(sources, sight, classes), **told}
    main_name = next(iter(told))
    seen = told[main_name]
    steps = SMOKE_STEPS if smoke else STEPS
    both = _train(seen, steps, {"parts": "both"})
    colours = _train(seen, steps, {"parts": "patches", "channels": ("rgb",)})
    torch.manual_seed(1)
    random = VideoEncoder(both.config).eval()
    truth = _with_truth(seen, sources, classes)
    pixels = _components(seen)
    places: dict[str, tuple[Data, Rows]] = {
        f"objects ({main_name})": (seen, _objects(both)),
        **{f"objects ({name})": (data, _objects(both)) for name, data in list(told.items())[1:]},
        "patches": (seen, _patches(both)),
        "objects and patches": (seen, _beside(_objects(both), _patches(both))),
        "patches of RGB alone": (seen, _patches(colours)),
        "objects, random weights": (seen, _objects(random)),
        "patches, random weights": (seen, _patches(random)),
        f"pixels' first {COMPONENTS} components": (seen, pixels),
        "limit: the simulator's table": (truth, _objects(both)),
    }
    scores = {name: {t: _probe(data, rows, t) for t in TARGETS} for name, (data, rows) in places.items()}
    note = f"depth: {'network' if depth != 'sensor' else 'as of a depth camera'}"
    rows = [
        Check(f"{name}: {target}", s.position_r2, "R² of position", "", s.words(), True)
        for name, by in scores.items()
        for target, s in by.items()
    ]
    return [*_goals(scores, main_name, note, smoke), *rows]


def _goals(scores: dict[str, dict[str, Score]], main_name: str, note: str, smoke: bool) -> list[Check]:
    objects, patches = scores[f"objects ({main_name})"][HAND], scores["patches"][HAND]
    joint, colours = scores["objects and patches"][HAND], scores["patches of RGB alone"][HAND]
    share = objects.position[0] / objects.position[1]
    gain = patches.velocity_r2 - colours.velocity_r2
    best = max(objects.position_r2, patches.position_r2)
    return [
        Check(
            "gripper's position from object tokens, over the floor",
            share, "×", f"<= {NEAR_FLOOR:g}", note, smoke or share <= NEAR_FLOOR,
        ),
        Check(
            "R² of the gripper's velocity that depth and flow add to patches",
            gain, "", f">= {GAIN:g}", f"RGB alone {colours.velocity_r2:.2f}", smoke or gain >= GAIN,
        ),
        Check(
            "R² of position from both kinds, less the better of the two",
            joint.position_r2 - best, "", f">= -{SLACK:g}", "", smoke or joint.position_r2 >= best - SLACK,
        ),
    ]  # fmt: skip


def _look(sources: Sequence[EpisodeSource], sight: Sight, classes: tuple[str, ...]) -> Data:
    config = ExtractConfig(FeatureConfig(class_names=classes), sight.config)
    tasks = [[str(source[i].metadata["task"]) for i in range(len(source))] for source in sources]
    kept = [_first(of, count) for of, count in zip(tasks, (TRAIN_EPISODES, HELD_EPISODES), strict=True)]
    clips = [
        [look_at(source[i], i, CAMERA, config, sight) for i in rows]
        for source, rows in zip(sources, kept, strict=True)
    ]
    tasks = [[of[i] for i in rows] for of, rows in zip(tasks, kept, strict=True)]
    return Data(clips[0], clips[1], (tasks[0], tasks[1]), classes)


def _first(tasks: Sequence[str], count: int) -> list[int]:
    """Rows of the first so many episodes of each task."""
    return [i for i, task in enumerate(tasks) if tasks[:i].count(task) < count]


def _train(data: Data, steps: int, switches: dict[str, object]) -> VideoEncoder:
    features = FeatureConfig(class_names=data.class_names)
    config = merge(
        TrainEncoderConfig(EncoderConfig(features)), {"encoder": switches, "fit": {"steps": steps}}
    )
    with tempfile.TemporaryDirectory() as folder:
        return fit_encoder(data.learnt, config, Path(folder), lambda progress: None)[0].encoder


def _tokens(encoder: VideoEncoder, clip: Clip) -> np.ndarray:
    table = WindowTable.of([clip], 0.1)
    with torch.inference_mode():
        parts = [
            encoder(plain_batch(table, rows, encoder.config.history)).values
            for rows in np.array_split(np.arange(len(table)), max(1, len(table) // 32))
        ]
    return torch.cat(parts).numpy()


def _objects(encoder: VideoEncoder) -> Rows:
    """The token of the object that was asked for, and whether there is one."""

    def rows(clip: Clip, target: str) -> np.ndarray:
        table, hand = clip.features.objects, encoder.config.features.class_names.index(HAND)
        wanted = table.valid & ((table.kinds == hand) == (target == HAND))
        best = np.where(wanted, table.scores, -1).argmax(axis=1)
        found = wanted.any(axis=1, keepdims=True)
        return np.concatenate([_tokens(encoder, clip)[np.arange(len(best)), best] * found, found], axis=1)

    return rows


def _patches(encoder: VideoEncoder) -> Rows:
    first = encoder.config.features.rows if encoder.config.has_objects else 0
    return lambda clip, target: _tokens(encoder, clip)[:, first:].reshape(len(clip.features), -1)


def _beside(one: Rows, other: Rows) -> Rows:
    return lambda clip, target: np.concatenate([one(clip, target), other(clip, target)], axis=1)


def _components(data: Data) -> Rows:
    """Principal components of colours, log depth and squashed flow of training frames."""

    def pixels(clip: Clip) -> np.ndarray:
        batch = to_batch(clip.features)
        parts = [planes(batch, "rgb"), planes(batch, "depth")[:, :1], planes(batch, "flow")[:, :2]]
        return torch.cat(parts, dim=1).flatten(1).numpy()

    seen = np.concatenate([pixels(clip)[::EVERY] for clip in data.learnt])
    middle = seen.mean(axis=0)
    axes = np.linalg.svd(seen - middle, full_matrices=False)[2][:COMPONENTS].T
    return lambda clip, target: (pixels(clip) - middle) @ axes


def _with_truth(data: Data, sources: Sequence[EpisodeSource], classes: tuple[str, ...]) -> Data:
    """The same frames with the simulator's table of objects."""
    clips = [
        [_true(clip, source[clip.info.episode], classes) for clip in found]
        for found, source in zip((data.learnt, data.held), sources, strict=True)
    ]
    return replace(data, learnt=clips[0], held=clips[1])


def _true(clip: Clip, episode: Episode, classes: tuple[str, ...]) -> Clip:
    names, steps = object_names(episode), len(episode)
    config = FeatureConfig(class_names=classes)
    columns = {n: np.broadcast_to(a, (steps, *a.shape)).copy() for n, a in empty_table(config).items()}
    count, camera = min(len(names), config.rows), episode.cameras[CAMERA]
    columns["valid"][:, :count] = np.asarray(episode.series[VISIBLE + CAMERA])[:, :count] > 0
    valid = columns["valid"]
    columns["seen"], columns["placed"], columns["scores"] = valid, valid, valid.astype(np.float32)
    columns["ids"] = np.where(valid, np.arange(1, config.rows + 1), 0)
    kinds = [classes.index(n.kind) if n.kind in classes else len(classes) for n in names[:count]]
    columns["kinds"][:, :count] = kinds
    size = np.array([camera.width, camera.height] * 2, np.float32)
    columns["boxes"][:, :count] = np.asarray(episode.series[BOXES + CAMERA])[:, :count] / size
    for name, values in zip(("position", "velocity"), in_camera(episode, CAMERA), strict=True):
        columns[name][:, :count] = values[:, :count]
    columns["depths"] = columns["position"][..., 2].copy()
    table = type(clip.features.objects)(**{f.name: columns[f.name] for f in fields(clip.features.objects)})
    return replace(clip, features=replace(clip.features, objects=table))


def _probe(data: Data, rows: Rows, target: str) -> Score:
    """Fitted on training placements, measured on the others."""
    learnt = [_aim(clip, data.class_names, target) for clip in data.learnt]
    held = [_aim(clip, data.class_names, target) for clip in data.held]
    picked = [np.flatnonzero(aim[0])[::EVERY] for aim in learnt]
    x = np.concatenate([rows(c, target)[p] for c, p in zip(data.learnt, picked, strict=True)])
    y = np.concatenate([aim[1][p] for aim, p in zip(learnt, picked, strict=True)])
    group = np.repeat(np.arange(len(learnt)), [len(p) for p in picked])
    task = np.repeat(data.tasks[0], [len(p) for p in picked])
    new = np.concatenate([rows(c, target)[aim[0]] for c, aim in zip(data.held, held, strict=True)])
    true = np.concatenate([aim[1][aim[0]] for aim in held])
    new_task = np.repeat(data.tasks[1], [int(aim[0].sum()) for aim in held])
    said = np.concatenate([_ridge(x, part, group, new) for part in np.split(y, 2, axis=1)], axis=1)
    floor = np.stack([y[task == t].mean(axis=0) for t in new_task])
    floor[:, 3:] = y[:, 3:].mean(axis=0)
    moving = np.linalg.norm(true[:, 3:], axis=1) > MOVING
    off, least = said - true, floor - true
    return Score(
        _r2(off[:, :3], least[:, :3]),
        _r2(off[:, 3:], least[:, 3:]),
        _medians(off[:, :3], least[:, :3]),
        _medians(off[:, 2:3], least[:, 2:3]),
        _medians(off[moving, 3:], least[moving, 3:]),
    )


def _r2(off: np.ndarray, least: np.ndarray) -> float:
    return float(1 - (off**2).sum() / (least**2).sum())


def _medians(off: np.ndarray, least: np.ndarray) -> tuple[float, float]:
    """Of the lengths of errors, in hundredths: of the probe and of the floor."""
    own, floor = (100 * float(np.median(np.linalg.norm(e, axis=1))) for e in (off, least))
    return own, floor


def _aim(clip: Clip, classes: tuple[str, ...], target: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames in which the target is in sight, and its position and velocity in the camera's axes, [T, 6]."""
    assert clip.truth is not None
    visible = clip.truth.visible.copy()
    visible[:, [(name == HAND) != (target == HAND) for name in classes]] = False
    which, frames = visible.argmax(axis=1), np.arange(len(visible))
    values = [v[frames, which] for v in (clip.truth.position, clip.truth.velocity)]
    return np.asarray(visible.any(axis=1)), np.concatenate(values, axis=1).astype(np.float64)


def _ridge(x: np.ndarray, y: np.ndarray, group: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Predictions for `new`; the penalty is the best of `PENALTIES` over five folds of whole episodes."""
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    x, new = (x - middle) / spread, (new - middle) / spread
    folds = np.array_split(
        np.random.default_rng(0).permutation(np.unique(group)), min(5, len(np.unique(group)))
    )
    errors = np.zeros(len(PENALTIES))
    for fold in folds:
        out = np.isin(group, fold)
        for i, said in enumerate(_solve(x[~out], y[~out], x[out])):
            errors[i] += ((said - y[out]) ** 2).sum()
    return list(_solve(x, y, new))[int(errors.argmin())]


def _solve(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> Iterator[np.ndarray]:
    """Ridge predictions for each of `PENALTIES`, by one eigendecomposition of the frames' products."""
    middle = y.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T)
    across, along = (new @ x.T) @ vectors, vectors.T @ (y - middle)
    for penalty in PENALTIES:
        yield across @ (along / (values.clip(0) + penalty)[:, None]) + middle


if __name__ == "__main__":
    run_in(main, "token_probes", CACHE / "perception")
