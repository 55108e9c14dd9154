"""Labels of frames, the data sets written of them, and pseudo-labels of a teacher."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.labelled import BLOCKS, COLOURS, FOCAL, POSE, Block, Source, labelled_episode

from vla_data.errors import ConfigError, DataError, UnknownNameError
from vla_data.objects import BOXES
from vla_data.protocols import Progress
from vla_data.types import ArrayImages, Episode
from vla_vision.detection.samples import open_yolo_data, read_labels
from vla_vision.labels import (
    PRESETS,
    ExportOptions,
    LabelConfig,
    LabelCounts,
    Teacher,
    class_names_of,
    export_labels,
    teacher_labels,
    true_labels,
)
from vla_vision.labels.naming import split_of
from vla_vision.labels.outlines import outline
from vla_vision.tracking.mot_file import read_mot, read_sequence_info
from vla_vision.types import Detections

CLASSES = ("block", "gripper", "mug")
EXACT = LabelConfig(image_encoding="png", val_every=2)


def source(count: int = 4) -> Source:
    return Source(tuple(labelled_episode(seed) for seed in range(count)))


def digest(directory: Path) -> dict[str, str]:
    files = [p for p in sorted(directory.rglob("*")) if p.is_file()]
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# The labels themselves


def test_a_frame_holds_the_objects_that_can_be_seen() -> None:
    episode, counts = labelled_episode(), LabelCounts()
    frames = list(true_labels(episode, "front", CLASSES, every=3, min_pixels=5, masks=True, counts=counts))
    assert [f.step for f in frames] == list(range(0, 24, 3))
    for frame in frames:
        assert frame.ids.tolist() == [1, 2]
        assert [CLASSES[c] for c in frame.objects.classes] == ["gripper", "mug"]
        assert frame.objects.boxes[1].tolist() == [44 - frame.step, 30, 56 - frame.step, 40]
        assert frame.objects.masks is not None
        assert frame.objects.masks[1].sum() == 120
    assert (counts.tiny, counts.hidden, counts.other_class) == (8, 0, 0)
    other = LabelCounts()
    frames = list(true_labels(episode, "front", ("mug",), counts=other))
    assert {tuple(f.ids) for f in frames} == {(2,)}
    assert other.other_class == 48


def test_an_object_behind_another_keeps_its_identity() -> None:
    blocks = (Block("mug", (5, 5), (1.0, 0.0), hidden=(4, 9)), Block("mug", (5, 30), (1.0, 0.0)))
    counts = LabelCounts()
    frames = list(true_labels(labelled_episode(blocks=blocks), "front", CLASSES, counts=counts))
    assert [f.ids.tolist() for f in frames] == [[1, 2]] * 4 + [[2]] * 5 + [[1, 2]] * 15
    assert counts.hidden == 5


def test_motion_is_given_in_both_frames() -> None:
    episode = labelled_episode()
    for frame in true_labels(episode, "front", CLASSES, every=5):
        motion = frame.motion
        assert motion is not None
        turn, middle = np.array(POSE)[:3, :3], np.array(POSE)[:3, 3]
        np.testing.assert_allclose(motion.camera_position @ turn.T + middle, motion.position, atol=1e-5)
        np.testing.assert_allclose(motion.camera_velocity @ turn.T, motion.velocity, atol=1e-5)
        pixels = motion.camera_velocity[:, :2] / motion.camera_position[:, 2:] * FOCAL / 10
        np.testing.assert_allclose(pixels, [b.speed for b in BLOCKS], atol=1e-4)


def test_a_camera_without_labels_names_those_that_have_some() -> None:
    with pytest.raises(DataError, match="no labels of this camera") as caught:
        next(iter(true_labels(labelled_episode(), "back", CLASSES)))
    assert "front" in str(caught.value)


# YOLO


def test_the_yolo_layout_says_what_the_episodes_know(tmp_path: Path) -> None:
    heard: list[Progress] = []
    config = replace(EXACT, every=4, min_pixels=5)
    summary = export_labels(source(), tmp_path, config, on_progress=heard.append)
    data = open_yolo_data(tmp_path / "yolo")
    assert data.class_names == CLASSES
    assert summary["images"] == {"train": 12, "val": 12} == {k: len(v) for k, v in data.splits.items()}
    assert summary["classes"] == {"gripper": 24, "mug": 24}
    assert (summary["objects"], summary["tiny"], summary["empty"], summary["skipped"]) == (48, 24, 0, 0)
    assert [p.done for p in heard] == [0, 1, 2, 3, 4]
    picture, labels = data.splits["val"][1]
    assert picture.name == "00001-front-00004.png"
    stored = cv2.imread(str(picture))
    assert stored is not None
    episode = labelled_episode(1)
    np.testing.assert_array_equal(stored[..., ::-1], episode.images["front"][4])
    (frame,) = (f for f in true_labels(episode, "front", CLASSES, min_pixels=5) if f.step == 4)
    for kind, corners, box in zip(frame.objects.classes, labels.outlines, frame.objects.boxes, strict=True):
        pixels = corners * [64, 48]
        np.testing.assert_allclose([*pixels.min(axis=0), *pixels.max(axis=0)], box, atol=1e-3)
        assert kind in labels.classes
    record = json.loads((tmp_path / "yolo" / "labels.json").read_text())
    assert record["config"]["every"] == 4


def test_no_episode_is_in_both_splits(tmp_path: Path) -> None:
    export_labels(source(5), tmp_path, replace(EXACT, every=12))
    images = tmp_path / "yolo" / "images"
    seen = {s: {p.name[:5] for p in (images / s).iterdir()} for s in ("train", "val")}
    assert seen == {"train": {"00000", "00002", "00004"}, "val": {"00001", "00003"}}


@given(st.integers(2, 60), st.integers(2, 20))
def test_every_split_gets_an_episode(episodes: int, val_every: int) -> None:
    splits = [split_of(i, episodes, val_every) for i in range(episodes)]
    assert set(splits) == {"train", "val"}
    assert splits.count("val") <= episodes / 2


def test_the_same_episodes_give_the_same_bytes_and_replace_what_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        export_labels(source(2), tmp_path / "a", replace(EXACT, every=8))
        export_labels(source(2), tmp_path / "b", LabelConfig(every=6, val_every=2))
        export_labels(source(2), tmp_path / "b", replace(EXACT, every=8))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_outlines_follow_the_masks(tmp_path: Path) -> None:
    export_labels(source(2), tmp_path, replace(EXACT, every=12, outlines=True))
    data = open_yolo_data(tmp_path / "yolo")
    assert not any((tmp_path / "yolo" / "labels").rglob("*.png"))
    _, labels = data.splits["train"][0]
    for corners, box in zip(labels.outlines, ((2, 4, 14, 14), (44, 30, 56, 40)), strict=True):
        pixels = corners * [64, 48]
        np.testing.assert_allclose([*pixels.min(axis=0), *pixels.max(axis=0)], box, atol=0.3)


@given(st.integers(0, 2**32 - 1))
def test_an_outline_holds_all_of_a_mask_in_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 50), bool)
    for _ in range(3):
        x, y = rng.integers(1, 35), rng.integers(1, 25)
        mask[y : y + rng.integers(5, 12), x : x + rng.integers(5, 12)] = True
    corners = outline(mask)
    filled = np.zeros((400, 500), np.uint8)
    cv2.fillPoly(filled, [np.round(corners * 10).astype(np.int32)], 1)
    again = filled[5::10, 5::10].astype(bool)
    assert (again & mask).sum() / (again | mask).sum() > 0.9
    y, x = np.nonzero(mask)
    np.testing.assert_allclose(corners.min(axis=0), [x.min(), y.min()], atol=0.3)
    np.testing.assert_allclose(corners.max(axis=0), [x.max() + 1, y.max() + 1], atol=0.3)


def test_an_outline_of_one_pixel_has_three_corners() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True
    assert len(outline(mask)) >= 3


def test_names_of_cameras_lead_nowhere_else(tmp_path: Path) -> None:
    episodes = tuple(labelled_episode(i, camera="side/left") for i in range(2))
    export_labels(Source(episodes), tmp_path, replace(EXACT, every=12))
    names = sorted(p.name for p in (tmp_path / "yolo" / "images").rglob("*.png"))
    assert names[0] == "00000-side%2Fleft-00000.png"
    export_labels(Source(episodes), tmp_path, replace(EXACT, every=12, format="mot"))
    assert (tmp_path / "mot" / "00001-side%2Fleft" / "gt" / "gt.txt").is_file()


def test_a_damaged_label_file_names_file_and_line(tmp_path: Path) -> None:
    export_labels(source(2), tmp_path, replace(EXACT, every=12))
    file = next((tmp_path / "yolo" / "labels" / "val").iterdir())
    whole = file.read_text()
    for bad in ("9 0.5 0.5 0.1 0.1", "0 0.5 0.5", "0 0.5 nan 0.1 0.1", "0 7 0.5 0.1 0.1", "mug 1 1 1 1"):
        file.write_text(whole + bad + "\n")
        with pytest.raises(DataError) as caught:
            read_labels(file, 3)
        assert f"{file.name}:{len(whole.splitlines()) + 1}" in str(caught.value)


@pytest.mark.slow
def test_ultralytics_reads_boxes_and_outlines_as_they_were_written(tmp_path: Path) -> None:
    from tests.vision.ultralytics_peer import read_with_ultralytics

    for outlines in (False, True):
        export_labels(source(2), tmp_path, replace(EXACT, every=6, outlines=outlines))
        read = read_with_ultralytics(tmp_path / "yolo" / "data.yaml", "segment" if outlines else "detect")
        for split in ("train", "val"):
            ours = {str(p): labels for p, labels in open_yolo_data(tmp_path / "yolo").splits[split]}
            assert set(read[split]) == set(ours)
            for path, (classes, boxes) in read[split].items():
                assert classes == list(ours[path].classes)
                bounds = [[*o.min(axis=0), *o.max(axis=0)] for o in ours[path].outlines]
                np.testing.assert_allclose(boxes, bounds, atol=1e-4)


# MOT


def test_the_mot_layout_says_what_the_episodes_know(tmp_path: Path) -> None:
    config = replace(EXACT, format="mot", every=2, min_pixels=5)
    summary = export_labels(source(2), tmp_path, config)
    assert (summary["sequences"], summary["frames"], summary["objects"]) == (2, 24, 48)
    place = tmp_path / "mot" / "00001-front"
    info = read_sequence_info(place / "seqinfo.ini")
    assert (info.frame_rate, info.frames, info.width, info.height) == (5.0, 12, 64, 48)
    truth, found = read_mot(place / "gt" / "gt.txt"), read_mot(place / "det" / "det.txt")
    assert truth.ids(7).tolist() == [1, 2]
    assert found.ids(7).tolist() == [-1, -1]
    np.testing.assert_array_equal(truth.detections(7).boxes, found.detections(7).boxes)
    assert truth.detections(7).boxes[1].tolist() == [32, 30, 44, 40]
    lines = (place / "gt" / "gt.txt").read_text().splitlines()
    assert [line.split(",")[7] for line in lines[:2]] == ["2", "3"]
    assert (tmp_path / "mot" / "classes.txt").read_text() == "block\ngripper\nmug\n"
    assert (tmp_path / "mot" / "seqmap.txt").read_text() == "name\n00000-front\n00001-front\n"
    stored = cv2.imread(str(place / "img1" / "000004.png"))
    assert stored is not None
    np.testing.assert_array_equal(stored[..., ::-1], labelled_episode(1).images["front"][6])


@dataclass
class FilmedFrames:
    """Notes what a video writer is given."""

    path: Path
    size: tuple[int, int]
    rate: float
    frames: int = 0
    ended: str = ""
    made: list[Any] = field(default_factory=list)

    def add(self, frame: np.ndarray) -> None:
        self.frames += 1

    def close(self) -> None:
        self.path.write_bytes(b"film")
        self.ended = "closed"

    def abandon(self) -> None:
        self.ended = "abandoned"


def test_a_sequence_can_be_a_video(tmp_path: Path) -> None:
    made: list[FilmedFrames] = []

    def opener(path: Path, size: tuple[int, int], rate: float) -> FilmedFrames:
        made.append(FilmedFrames(path, size, rate))
        return made[-1]

    config = replace(EXACT, format="mot", every=2)
    export_labels(source(2), tmp_path, config, ExportOptions(open_video=opener))
    assert [(m.size, m.rate, m.frames, m.ended) for m in made] == [((48, 64), 5.0, 12, "closed")] * 2
    assert (tmp_path / "mot" / "00000-front" / "00000-front.mp4").is_file()
    assert not (tmp_path / "mot" / "00000-front" / "img1").exists()
    made.clear()
    broken = Source((damaged(labelled_episode(0), 8),))
    with pytest.raises(DataError, match="damaged frame"):
        export_labels(broken, tmp_path / "b", config, ExportOptions(open_video=opener))
    assert [m.ended for m in made] == ["abandoned"]
    assert list((tmp_path / "b").iterdir()) == []


# What cannot be used


@dataclass(frozen=True)
class Damaged:
    """Frames of which one cannot be decoded."""

    frames: ArrayImages
    bad: int

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        if index == self.bad:
            raise DataError("a damaged frame", where=f"frame {index}")
        return self.frames[index]


def damaged(episode: Episode, frame: int) -> Episode:
    images = episode.images["front"]
    assert isinstance(images, ArrayImages)
    return replace(episode, images={"front": Damaged(images, frame)})


def test_what_is_damaged_stops_the_work_or_is_counted(tmp_path: Path) -> None:
    good = [labelled_episode(i) for i in range(3)]
    plain = replace(labelled_episode(7), metadata={})
    mixed = Source((good[0], plain, damaged(good[1], 8), good[2], labelled_episode(9, steps=0)))
    with pytest.raises(DataError, match="without labels"):
        export_labels(mixed, tmp_path, replace(EXACT, every=4))
    assert list(tmp_path.iterdir()) == []
    forgiving = ExportOptions(skip_corrupt=True)
    summary = export_labels(mixed, tmp_path, replace(EXACT, every=4), forgiving)
    assert (summary["episodes"], summary["frames"], summary["damaged"]) == (3, 17, 1)
    assert (summary["skipped"], summary["reasons"]) == (2, {"an episode without labels": 1, "too short": 1})
    summary = export_labels(mixed, tmp_path, replace(EXACT, format="mot", every=4), forgiving)
    assert (summary["episodes"], summary["frames"], summary["skipped"]) == (2, 12, 3)
    assert not (tmp_path / "mot" / "00002-front").exists()


def test_black_frames_teach_nothing_and_are_counted(tmp_path: Path) -> None:
    episodes = []
    for seed in range(2):
        frames = np.stack([labelled_episode(seed).images["front"][i] for i in range(24)])
        frames[:6] = 3
        episodes.append(replace(labelled_episode(seed), images={"front": ArrayImages(frames)}))
    summary = export_labels(Source(tuple(episodes)), tmp_path, replace(EXACT, every=3))
    assert (summary["frames"], summary["black"]) == (12, 4)
    assert len(list((tmp_path / "yolo" / "images").rglob("*.png"))) == 12
    summary = export_labels(Source(tuple(episodes)), tmp_path, replace(EXACT, every=3, format="mot"))
    assert (summary["frames"], summary["black"]) == (16, 4)


def test_a_directory_is_whole_or_as_it_was(tmp_path: Path) -> None:
    export_labels(source(2), tmp_path, replace(EXACT, every=12))
    before = digest(tmp_path)
    with pytest.raises(DataError, match="damaged frame"):
        export_labels(Source((labelled_episode(0), damaged(labelled_episode(1), 12))), tmp_path, EXACT)
    assert digest(tmp_path) == before


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        export_labels(source(2), tmp_path, replace(EXACT, classes=("mugg",)))
    assert caught.value.matches[0] == "mug"
    with pytest.raises(DataError, match="lacks a camera") as missing:
        export_labels(source(2), tmp_path, replace(EXACT, cameras=("back",)))
    assert "front" in str(missing.value)
    with pytest.raises(DataError, match="split would hold no image"):
        export_labels(source(1), tmp_path, EXACT)
    with pytest.raises(DataError, match="no frame is left"):
        export_labels(Source(()), tmp_path, EXACT)
    with pytest.raises(ConfigError, match="cannot be written like this"):
        export_labels(source(2), tmp_path, replace(EXACT, format="mot", outlines=True))
    wrong: list[dict[str, Any]] = [{"every": 0}, {"val_every": 1}, {"quality": 101}, {"score": 1.5}]
    for bad in [*wrong, {"classes": ("a", "a")}]:
        with pytest.raises(ConfigError):
            LabelConfig(**bad)
    assert list(tmp_path.iterdir()) == []
    assert all(isinstance(make(), LabelConfig) for make in PRESETS.values())


def test_classes_are_those_of_all_episodes() -> None:
    episodes = (labelled_episode(0, blocks=BLOCKS[:1]), labelled_episode(1, blocks=BLOCKS[1:]))
    assert class_names_of(Source(episodes)) == CLASSES
    plain = replace(episodes[0], metadata={})
    with pytest.raises(DataError):
        class_names_of(Source((plain, episodes[1])))
    assert class_names_of(Source((plain, episodes[1])), skip_corrupt=True) == ("block", "mug")


def test_the_preview_shows_boxes(tmp_path: Path) -> None:
    grid = tmp_path / "grid.png"
    export_labels(source(2), tmp_path / "out", EXACT, ExportOptions(preview=grid))
    drawn = cv2.imread(str(grid))
    assert drawn is not None
    assert drawn.shape == (3 * (288 + 20 + 4) + 4, 4 * (384 + 4) + 4, 3)
    assert not list(tmp_path.glob(".*"))


# A teacher


@dataclass
class ColourTeacher:
    """Finds blocks by their colour; misses every frame in `blind` and imagines something in frame 3."""

    blind: Sequence[int] = ()
    class_names: tuple[str, ...] = ("block", "gripper", "mug", "sofa")
    seen: int = 0

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        return [self._one(image) for image in images]

    def _one(self, image: np.ndarray) -> Detections:
        frame, self.seen = self.seen, self.seen + 1
        boxes, kinds = [], []
        for kind, colour in COLOURS.items() if frame not in self.blind else ():
            y, x = np.nonzero((image == colour).all(axis=-1))
            if len(x) > 4:
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
                kinds.append(self.class_names.index(kind))
        if frame == 3:
            boxes += [[2, 36, 12, 46], [40, 2, 60, 20]]
            kinds += [0, 3]
        scores = np.full(len(boxes), 0.9, np.float32)
        found = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(found, scores, np.array(kinds, np.int64), self.class_names)


def unlabelled(seed: int) -> Episode:
    episode = labelled_episode(seed, blocks=BLOCKS[:2])
    return replace(episode, metadata={}, series={})


def test_a_teacher_is_believed_where_it_can_be_followed() -> None:
    counts = LabelCounts()
    teacher = Teacher(ColourTeacher(blind=(6, 7)))
    frames = teacher_labels(unlabelled(0), "front", CLASSES, teacher, LabelConfig(), counts)
    truth = labelled_episode(0, blocks=BLOCKS[:2]).series[BOXES + "front"]
    assert len(frames) == 24
    for frame in frames:
        assert frame.motion is None
        names = [CLASSES[c] for c in frame.objects.classes]
        assert sorted(names) == ["gripper", "mug"]
        for name, box in zip(names, frame.objects.boxes, strict=True):
            np.testing.assert_allclose(box, truth[frame.step, ("gripper", "mug").index(name)], atol=0.7)
    by_name = [{CLASSES[c]: i for c, i in zip(f.objects.classes, f.ids, strict=True)} for f in frames]
    assert all(found == by_name[0] for found in by_name)
    assert (counts.filled, counts.fleeting, counts.other_class) == (4, 1, 1)


def test_gaps_beyond_the_limit_stay_open_and_short_tracks_go() -> None:
    counts = LabelCounts()
    teacher = Teacher(ColourTeacher(blind=range(6, 12)))
    config = LabelConfig(max_gap=3)
    frames = teacher_labels(unlabelled(0), "front", CLASSES, teacher, config, counts)
    assert [len(f.ids) for f in frames] == [2] * 6 + [0] * 6 + [2] * 12
    assert counts.filled == 0
    counts = LabelCounts()
    teacher = Teacher(ColourTeacher(blind=range(4, 24)))
    frames = teacher_labels(unlabelled(0), "front", CLASSES, teacher, config, counts)
    assert sum(len(f.ids) for f in frames) == 0
    assert counts.fleeting == 9


def test_pseudo_labels_are_written_like_true_ones(tmp_path: Path) -> None:
    episodes = Source(tuple(unlabelled(i) for i in range(2)))
    options = ExportOptions(teacher=Teacher(ColourTeacher()))
    summary = export_labels(episodes, tmp_path, replace(EXACT, classes=("gripper", "mug")), options)
    assert (summary["labels"], summary["classes"]) == ("pseudo", {"gripper": 48, "mug": 48})
    data = open_yolo_data(tmp_path / "yolo")
    assert data.class_names == ("gripper", "mug")
    _, labels = data.splits["train"][0]
    pixels = np.stack([o * [64, 48] for o in labels.outlines])
    boxes = sorted([*p.min(axis=0), *p.max(axis=0)] for p in pixels)
    np.testing.assert_allclose(boxes, [[2, 4, 14, 14], [44, 30, 56, 40]], atol=1e-3)
    with pytest.raises(UnknownNameError):
        export_labels(episodes, tmp_path, replace(EXACT, classes=("chair",)), options)
    with pytest.raises(ConfigError, match="cannot be written like this"):
        export_labels(episodes, tmp_path, replace(EXACT, outlines=True), options)
