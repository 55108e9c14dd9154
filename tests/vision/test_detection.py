"""Detection without a network: canvases, decoding, blobs, scores, labelled data, the registry."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.detection_cases import picture

from vla_data.config import from_dict, merge, to_dict
from vla_data.errors import CheckpointError, ConfigError, DataError, UnknownNameError
from vla_data.files import write_bytes
from vla_data.runs import verify
from vla_vision.detection.blobs import BlobDetector
from vla_vision.detection.checkpoint import DetectorRecord, read_detector, save_detector
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import Layout, decode, layout_of
from vla_vision.detection.drawing import draw_detections
from vla_vision.detection.letterbox import canvas_of, place
from vla_vision.detection.network import NetworkDetector, NetworkSpec
from vla_vision.detection.registry import DETECTORS, load_detector
from vla_vision.detection.samples import Labels, bounds, read_labels, truth_of
from vla_vision.detection.scores import score_detections
from vla_vision.tracking.association import overlaps
from vla_vision.types import Detections, Detector

SIDES = st.integers(1, 700)


# Canvases


@given(SIDES, SIDES, st.sampled_from([64, 320]), st.booleans())
def test_a_box_comes_back_from_the_canvas_to_within_half_a_pixel(height, width, size, rectangular):
    canvas = canvas_of(height, width, size, 32, rectangular)
    image, placement = place(np.zeros((height, width, 3), np.uint8), canvas)
    assert image.shape == (*canvas, 3)
    assert max(canvas) == size
    assert all(side % 32 == 0 for side in canvas)
    whole = np.array([[0, 0, width, height]], np.float32)
    inner = whole * placement.scale + np.array([placement.left, placement.top] * 2, np.float32)
    assert (inner[0, 2:] <= np.array(canvas[::-1]) + 1).all()
    assert np.abs(placement.to_frame(inner.astype(np.float32)) - whole).max() < 0.5


def test_padding_is_grey_and_the_picture_is_whole():
    image, placement = place(np.full((50, 100, 3), 255, np.uint8), (64, 64))
    assert (placement.left, placement.top) == (0, 16)
    assert (image[:16] == 114).all()
    assert (image[16:48] == 255).all()


# Decoding


def anchors(rows: list[tuple[float, ...]], classes: int) -> np.ndarray:
    """Rows (x1 y1 x2 y2, scores of the classes …) as an output [4 + classes, A]."""
    return np.array(rows, np.float32).reshape(-1, 4 + classes).T


def frame(size: tuple[int, int] = (64, 64)):
    return place(np.zeros((*size, 3), np.uint8), (64, 64))[1]


def test_both_forms_say_the_same():
    boxes = [(4, 4, 20, 20, 0.9, 0.1), (30, 30, 60, 50, 0.2, 0.7)]
    corner = Layout("anchors", 2, corners=True, suppress=False)
    rows = np.array([(4, 4, 20, 20, 0.9, 0), (30, 30, 60, 50, 0.7, 1)], np.float32)
    centres = np.array([(12, 12, 16, 16, 0.9, 0.1), (45, 40, 30, 20, 0.2, 0.7)], np.float32).T
    found = [
        decode(anchors(boxes, 2), None, corner, frame(), DetectOptions(), ("a", "b")),
        decode(
            rows, None, Layout("rows", 2, corners=True, suppress=False), frame(), DetectOptions(), ("a", "b")
        ),
        decode(centres, None, Layout("anchors", 2), frame(), DetectOptions(), ("a", "b")),
    ]
    for detections in found:
        np.testing.assert_allclose(detections.boxes, [b[:4] for b in boxes])
        np.testing.assert_allclose(detections.scores, [0.9, 0.7])
        assert detections.classes.tolist() == [0, 1]
        assert detections.class_names == ("a", "b")


def test_boxes_are_cut_to_the_frame_and_those_outside_are_left_out():
    said = [(-30, -30, 10, 10, 0.9), (50, 50, 90, 200, 0.8), (70, 70, 90, 90, 0.7), (5, 5, 5, 9, 0.6)]
    found = decode(
        anchors(said, 1), None, Layout("anchors", 1, corners=True), frame(), DetectOptions(), ("a",)
    )
    np.testing.assert_allclose(found.boxes, [[0, 0, 10, 10], [50, 50, 64, 64]])


def test_numbers_that_are_none_are_left_out():
    said = [(1, 1, 9, 9, np.nan), (np.inf, 1, 9, 9, 0.9), (1, 1, 9, 9, 0.8)]
    found = decode(
        anchors(said, 1), None, Layout("anchors", 1, corners=True), frame(), DetectOptions(), ("a",)
    )
    np.testing.assert_allclose(found.scores, [0.8])


@pytest.mark.parametrize("suppressed", [True, False])
def test_ten_thousand_detections_are_bounded(suppressed):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 600, (2, 10_000))
    scores = rng.uniform(0.3, 1, (1, 10_000))
    output = np.concatenate([corner, corner + 4, scores]).astype(np.float32)
    layout = Layout("anchors", 1, corners=True, suppress=suppressed)
    placement = place(np.zeros((640, 640, 3), np.uint8), (640, 640))[1]
    began = time.process_time()
    found = decode(output, None, layout, placement, DetectOptions(max_detections=100), ("a",))
    assert time.process_time() - began < 5  # a runaway comparison of all with all takes minutes
    assert len(found) == 100
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() > 0.9


def test_a_mask_is_a_sum_of_prototypes_inside_its_box():
    placement = place(np.zeros((32, 64, 3), np.uint8), (64, 64))[1]
    prototypes = np.zeros((2, 16, 16), np.float32)
    prototypes[0, :, :8], prototypes[0, :, 8:] = 5, -5  # the left half
    prototypes[1] = 5
    rows = [(0, 16, 64, 48, 0.9, 1, 0), (40, 20, 60, 40, 0.8, 0, 1)]
    output = np.array(rows, np.float32).T
    layout = Layout("anchors", 1, masks=2, corners=True, suppress=False)
    found = decode(output, prototypes, layout, placement, DetectOptions(), ("a",))
    assert found.masks is not None
    assert found.masks.shape == (2, 32, 64)
    assert found.masks[0, :, :31].all()
    assert not found.masks[0, :, 33:].any()
    assert found.masks[1].sum() == 20 * 20
    assert found.masks[1, 4:24, 40:60].all()


@pytest.mark.parametrize(
    ("shape", "form"), [((1, 84, 8400), "anchors"), ((1, 300, 6), "rows"), (("n", 84, "a"), "anchors")]
)
def test_foreign_outputs_are_told_apart(shape, form):
    assert layout_of(shape, 80, 0, "x").form == form


def test_another_output_is_refused():
    with pytest.raises(CheckpointError, match="not one of the YOLO family"):
        layout_of((1, 1000), 80, 0, "x.onnx")


# One detector over any engine


def echo(images: np.ndarray) -> list[np.ndarray]:
    """A network that finds a box over the whole canvas in every frame whose middle is not black."""
    n, _, height, width = images.shape
    output = np.zeros((n, 5, 2), np.float32)
    output[:, 2, 0], output[:, 3, 0] = width, height
    output[:, 4, 0] = images[:, :, height // 2, width // 2].max(axis=1)
    return [output]


def spec(**rest) -> NetworkSpec:
    return NetworkSpec(("thing",), 64, Layout("anchors", 1, corners=True, suppress=False), **rest)


def test_frames_of_many_sizes_keep_their_order():
    seen: list[tuple[int, ...]] = []

    def forward(images: np.ndarray) -> list[np.ndarray]:
        seen.append(images.shape)
        return echo(images)

    detector = NetworkDetector(forward, spec(), DetectOptions(batch_size=2))
    sizes = [(40, 80), (40, 80), (40, 80), (80, 40), (30, 30)]
    images = [np.full((*size, 3), 255, np.uint8) for size in sizes]
    found = detector.detect(images)
    np.testing.assert_allclose([f.boxes[0, 2:] for f in found], [(w, h) for h, w in sizes], rtol=1e-6)
    assert seen == [(2, 3, 32, 64), (1, 3, 32, 64), (1, 3, 64, 32), (1, 3, 64, 64)]
    assert isinstance(detector, Detector)
    assert detector.input_size == 64


def test_a_network_of_one_size_and_batch_is_served_so():
    shapes = set()

    def forward(images: np.ndarray) -> list[np.ndarray]:
        shapes.add(images.shape)
        return echo(images)

    detector = NetworkDetector(forward, spec(canvas=(64, 64), batch=4))
    assert [len(f) for f in detector.detect([np.full((20, 50, 3), 9, np.uint8)] * 6)] == [0] * 6
    assert shapes == {(4, 3, 64, 64)}


def test_black_frames_hold_nothing_and_no_frames_give_none():
    detector = NetworkDetector(echo, spec())
    assert [len(f) for f in detector.detect([np.zeros((40, 60, 3), np.uint8)])] == [0]
    assert detector.detect([]) == []


@pytest.mark.parametrize(
    "image",
    [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), None],
)
@pytest.mark.parametrize("detector", [NetworkDetector(echo, spec()), BlobDetector()])
def test_an_image_without_pixels_is_refused(unchecked_shapes, detector, image):
    with pytest.raises(DataError, match="cannot be looked at") as error:
        detector.detect([np.zeros((5, 5, 3), np.uint8), image])
    assert error.value.where == "image 1"


# Blobs


def test_blobs_are_found_where_they_lie():
    rng = np.random.default_rng(3)
    image, things = picture(rng)
    while len(things) != 1:
        image, things = picture(rng)
    _, x, y, w, h = things[0]
    (found,) = BlobDetector(DetectOptions(score=0.1)).detect([image])
    assert len(found) == 1
    assert np.abs(found.boxes[0] - [x, y, x + w, y + h]).max() <= 1


def test_nothing_stands_out_of_a_plain_frame():
    frames = [np.zeros((40, 50, 3), np.uint8), np.full((1, 1, 3), 7, np.uint8)]
    assert [len(f) for f in BlobDetector().detect(frames)] == [0, 0]


# Scores


def made_up(seed: int, frames: int = 20) -> tuple[list[Detections], list[Detections]]:
    rng, found, truth = np.random.default_rng(seed), [], []
    names = ("a", "b", "c")
    for _ in range(frames):
        n = int(rng.integers(0, 6))
        corner = rng.uniform(0, 200, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(20, 60, (n, 2))], axis=1)
        classes, kept = rng.integers(0, 3, n), rng.random(n) < 0.8
        noise = np.concatenate(
            [
                boxes[kept] + rng.normal(0, 4, (kept.sum(), 4)),
                rng.uniform(0, 60, (2, 4)) + np.array([0, 0, 60, 60]),
            ]
        )
        said = np.concatenate(
            [np.where(rng.random(kept.sum()) < 0.9, classes[kept], 0), rng.integers(0, 3, 2)]
        )
        scores = rng.random(len(noise)).astype(np.float32)
        found.append(Detections(noise.astype(np.float32), scores, said.astype(np.int64), names))
        truth.append(
            Detections(boxes.astype(np.float32), np.ones(n, np.float32), classes.astype(np.int64), names)
        )
    return found, truth


@pytest.mark.parametrize("seed", [0, 1])
def test_average_precision_is_that_of_a_peer(seed):
    supervision = pytest.importorskip("supervision")
    from supervision.metrics import MeanAveragePrecision

    found, truth = made_up(seed)
    peer = MeanAveragePrecision()
    for f, t in zip(found, truth, strict=True):
        peer.update(
            supervision.Detections(f.boxes, confidence=f.scores, class_id=f.classes.astype(int)),
            supervision.Detections(t.boxes, class_id=t.classes.astype(int))
            if len(t)
            else supervision.Detections.empty(),
        )
    result, ours = peer.compute(), score_detections(found, truth)
    assert ours.map50 == pytest.approx(result.map50, abs=1e-6)
    assert ours.map50_95 == pytest.approx(result.map50_95, abs=1e-6)


def test_perfect_detections_score_one_and_none_score_zero():
    _, truth = made_up(0)
    best = score_detections(truth, truth)
    assert (best.map50, best.map50_95, best.precision, best.recall, best.recall_any_class) == (1, 1, 1, 1, 1)
    assert best.recall_of_ten == 1
    none = score_detections([Detections.empty(("a", "b", "c"))] * len(truth), truth)
    assert (none.map50, none.recall, none.recall_any_class, none.truths) == (0, 0, 0, best.truths)
    assert score_detections([], []).map50 == 0


def test_classes_are_compared_by_name():
    box, one = np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32)
    found = [Detections(box, one, np.array([2]), ("car", "bus", "mug"))]
    assert score_detections(found, [Detections(box, one, np.array([0]), ("mug",))]).map50 == 1
    wrong = score_detections(found, [Detections(box, one, np.array([0]), ("plate",))])
    assert (wrong.map50, wrong.recall_any_class) == (0, 1)


def test_recall_of_any_class_has_a_working_point_of_its_own():
    """A thing that is always called by a wrong name, unsurely, is seen all the same."""
    names, sure, unsure = ("mug", "plate"), [[0, 0, 9, 9]], [[20, 0, 29, 9]]
    boxes = np.array(sure + unsure, np.float32)
    found = [Detections(boxes, np.array([0.9, 0.2], np.float32), np.array([0, 0]), names)] * 4
    truth = [Detections(boxes, np.ones(2, np.float32), np.array([0, 1]), names)] * 4
    scores = score_detections(found, truth)
    assert (scores.recall, scores.recall_any_class) == (0.5, 1.0)
    assert scores.confidence == pytest.approx(0.9)


def test_a_working_point_takes_all_that_share_a_confidence():
    """Half of ten equally sure detections are right, first the right ones: no confidence tells them apart."""
    boxes = np.array([[20 * i, 0, 20 * i + 9, 9] for i in range(10)], np.float32)
    found = Detections(boxes, np.full(10, 0.7, np.float32), np.zeros(10, np.int64), ("mug",))
    scores = score_detections([found], [found.select(np.arange(5))])
    assert (scores.precision, scores.recall, scores.recall_any_class) == (0.5, 1.0, 1.0)


def test_recall_of_ten_takes_the_ten_surest_of_a_picture():
    """Twelve things in one picture, each found once, and two surer boxes beside all of them."""
    boxes = np.array([[20 * i, 0, 20 * i + 9, 9] for i in range(12)], np.float32)
    beside = np.array([[0, 50, 9, 59], [20, 50, 29, 59]], np.float32)
    scores = np.linspace(0.8, 0.1, 12, dtype=np.float32)
    found = Detections(
        np.concatenate([boxes, beside]), np.append(scores, [0.9, 0.95]).astype(np.float32),
        np.zeros(14, np.int64), ("mug", "plate"),
    )  # fmt: skip
    truth = Detections(boxes, np.ones(12, np.float32), np.ones(12, np.int64), ("mug", "plate"))
    assert score_detections([found], [truth]).recall_of_ten == pytest.approx(8 / 12)
    twice = Detections(
        np.repeat(boxes[:2], 3, axis=0), np.full(6, 0.5, np.float32), np.zeros(6, np.int64), ("mug",)
    )
    assert score_detections([twice], [truth]).recall_of_ten == pytest.approx(2 / 12)


def test_scores_need_as_many_frames():
    with pytest.raises(DataError, match="different frames"):
        score_detections([Detections.empty()], [])


# Labels


def test_labels_are_boxes_or_outlines(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("1 0.5 0.5 0.2 0.4\n\n0 0.1 0.1 0.3 0.1 0.2 0.3\n")
    labels = read_labels(file, 2)
    assert labels.classes == (1, 0)
    np.testing.assert_allclose(bounds(labels.outlines[0]), [0.4, 0.3, 0.6, 0.7], atol=1e-6)
    np.testing.assert_allclose(bounds(labels.outlines[1]), [0.1, 0.1, 0.3, 0.3], atol=1e-6)
    truth = truth_of(labels, (100, 200), ("a", "b"))
    np.testing.assert_allclose(truth.boxes[0], [80, 30, 120, 70], atol=1e-4)
    assert read_labels(tmp_path / "none.txt", 2) == Labels()


DAMAGED = (
    "2 0.5 0.5 0.2 0.2",
    "0 0.5 0.5 0.2",
    "0 0.5 0.5 0.2 1.5",
    "x 0 0 0 0",
    "0.5 0.5 0.5 0.1 0.1",
    "0 nan 0 1 1",
    "-1 0.5 0.5 0.1 0.1",
)


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_label_names_file_and_line(tmp_path: Path, line):
    file = tmp_path / "a.txt"
    file.write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match="label cannot be read") as error:
        read_labels(file, 2)
    assert error.value.where == f"{file}:2"


# Checkpoints and the registry


def record(**rest) -> DetectorRecord:
    return DetectorRecord(
        **{"engine": "onnx", "architecture": "yolo26n", "class_names": ("a",), "image_size": 64} | rest
    )


def test_a_checkpoint_proves_itself_whole(tmp_path: Path):
    where = tmp_path / "d"
    save_detector(where, record(), lambda path: write_bytes(path, b"network"))
    assert read_detector(where) == record()
    assert from_dict(DetectorRecord, json.loads(json.dumps(to_dict(record())))) == record()
    (where / "model.onnx").write_bytes(b"netw0rk")
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        verify(where)
    with pytest.raises(CheckpointError, match="does not match its manifest"):
        load_detector(where)


def test_an_impossible_record_is_refused():
    with pytest.raises(ConfigError, match="out of range"):
        record(image_size=50)
    with pytest.raises(ConfigError, match="out of range"):
        record(class_names=())


def test_what_moves_is_found_and_what_stands_is_not():
    rng = np.random.default_rng(0)
    still = rng.integers(60, 200, (120, 160, 3)).astype(np.uint8)
    still[20:50, 20:50] = (240, 240, 240)  # a thing that never moves
    detector, found = load_detector("motion"), []
    for t in range(30):
        frame = still.copy()
        if t >= 10:
            frame[60:90, 10 + 4 * t : 40 + 4 * t] = (200, 20, 20)
        noise = rng.integers(-3, 4, frame.shape)
        found.append(detector.detect([(frame + noise).clip(0, 255).astype(np.uint8)])[0])
    assert sum(map(len, found[:10])) == 0
    assert all(len(f) == 1 for f in found[12:25])
    right = [
        overlaps(f.boxes, np.array([[10 + 4 * t, 60, 40 + 4 * t, 90]], np.float32))[0, 0]
        for t, f in enumerate(found)
        if 12 <= t < 25
    ]
    assert min(right) > 0.6
    other = detector.detect([np.zeros((60, 60, 3), np.uint8)])[0]
    assert len(other) == 0  # another size: another video


def test_blobs_need_no_weights():
    detector = load_detector("blobs", options=DetectOptions(score=0.1))
    assert isinstance(detector, Detector)
    assert detector.class_names == ("thing",)
    assert set(DETECTORS) == {"yolo", "onnx", "openvino", "open-vocabulary", "blobs", "motion"}


def test_a_mistyped_kind_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'blobs'"):
        load_detector("blob")
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        load_detector("blobs", kind="openvin")


@pytest.mark.parametrize("source", ["runs/none", "weights.bin", ""])
def test_missing_weights_say_where_to_get_them_and_what_works_without(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(CheckpointError) as error:
        load_detector(source)
    assert error.value.next_step is not None
    for word in ("vla vision train", "ONNX", "blobs", "tracking"):
        assert word in error.value.next_step


def test_a_pickle_is_never_opened(tmp_path: Path):
    file = tmp_path / "model.pt"
    file.write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_detector(file)


def test_options_out_of_range_are_refused():
    for key, value in (
        ("score", 2.0),
        ("iou", 0.0),
        ("max_detections", 0),
        ("batch_size", 0),
        ("threads", 0),
    ):
        with pytest.raises(ConfigError, match="out of range"):
            merge(DetectOptions(), {key: value})


# Drawing


def test_drawing_leaves_the_frame_alone_and_enlarges_small_ones():
    image = np.zeros((40, 60, 3), np.uint8)
    box = Detections(np.array([[5, 20, 30, 38]], np.float32), np.ones(1, np.float32), np.array([3]), ("a",))
    drawn = draw_detections(image, box, least_side=200)
    assert drawn.shape == (160, 240, 3)
    assert not image.any()
    assert drawn[80:152, 20].any()
