"""A detector trained for a moment: batches, loss, checkpoint, resume; the same boxes from every engine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vision.detection_cases import NAMES, picture, write_yolo

from vla_data.errors import CheckpointError, ConfigError, DataError, MissingDependencyError
from vla_data.files import sha256_file
from vla_data.fit import FitConfig
from vla_data.protocols import Progress
from vla_vision.detection.batches import AugmentConfig, DetectionBatches, Pictures
from vla_vision.detection.checkpoint import read_detector
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import suppress
from vla_vision.detection.export import export_detector
from vla_vision.detection.registry import load_detector
from vla_vision.detection.samples import open_yolo_data
from vla_vision.detection.training import PRESETS, train_detector
from vla_vision.detection.yolo import YoloNetwork, prepare
from vla_vision.types import Detections, Detector

CONFIG = PRESETS["debug"]()
ALL = DetectOptions(score=0.001, max_detections=20, precision="f32")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yolo(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs; no socket may be opened on the way."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", no_network)
        patch.setattr(socket, "getaddrinfo", no_network)
        seen: list[Progress] = []
        summary, sections = train_detector(data, CONFIG, out, seen.append)
    assert {p.stage for p in seen} == {"train", "validate"}
    assert summary["train_images"] == 12
    assert {"map50", "map50_95", "precision", "recall"} <= set(summary)
    assert sections[0].title == "Detector training"
    return out


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    black = np.zeros((60, 60, 3), np.uint8)
    return [picture(rng)[0], picture(rng, (90, 50))[0], picture(rng)[0], black]


def no_network(*args: object, **kwargs: object) -> None:
    raise AssertionError("the network was asked for")


# Batches


def batches(data: Path, **rest) -> DetectionBatches:
    pairs = open_yolo_data(data).splits["train"]
    pictures = Pictures([p for p, _ in pairs], 64)
    settings = {"batch_size": 4, "steps": 20, "seed": 3, "augment": AugmentConfig()} | rest
    return DetectionBatches(pictures, [labels for _, labels in pairs], **settings)


def test_a_batch_depends_on_its_step_alone(data):
    one, other = batches(data), batches(data)
    for step in (7, 0, 19):
        other(step + 1)
        for name, values in one(step).items():
            assert torch.equal(values, other(step)[name]), name


def test_an_epoch_sees_every_image_once(data):
    one = batches(data)
    for epoch in (0, 1, 5):
        assert sorted(one._index(12 * epoch + i) for i in range(12)) == list(range(12))


@settings(max_examples=20)
@given(st.integers(0, 19), st.sampled_from([0.0, 1.0]))
def test_boxes_stay_on_their_things(data_of_one, step, mosaic):
    """The only bright thing of every sample lies in its box, and fills it."""
    augment = AugmentConfig(mosaic=mosaic, whole_at_the_end=0, hue=0, saturation=0, value=0)
    batch = batches(data_of_one, augment=augment)(step)
    red = batch["images"][:, 0].numpy() > 200
    for sample in range(4):
        inside = np.zeros((64, 64), bool)
        for x, y, w, h in batch["box"][batch["image"] == sample].numpy() * 64:
            x1, y1, x2, y2 = round(x - w / 2), round(y - h / 2), round(x + w / 2), round(y + h / 2)
            inside[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = True
            assert red[sample, y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].all()
        outside = red[sample] & ~inside
        assert outside.sum() <= 0.15 * (28 * 23) * 3  # a thing that is cut off almost wholly has no box


@pytest.fixture(scope="module")
def data_of_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import cv2

    root = tmp_path_factory.mktemp("one")
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
            for i in range(12):
                if kind == "images":
                    image = np.full((48, 64, 3), 60, np.uint8)
                    image[10 + i : 26 + i, 20:40] = (40, 40, 230)
                    cv2.imwrite(str(root / kind / split / f"{i}.png"), image)
                else:
                    text = f"0 {30 / 64} {(18 + i) / 48} {20 / 64} {16 / 48}\n"
                    (root / kind / split / f"{i}.txt").write_text(text)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    return root


def test_pictures_are_kept_up_to_a_limit(data):
    pairs = open_yolo_data(data).splits["train"]
    pictures = Pictures([p for p, _ in pairs], 64, limit=3 * 64 * 48 * 3)
    first = pictures[0].copy()
    for i in range(12):
        assert max(pictures[i].shape) == 64
        assert pictures._bytes <= pictures.limit
    assert np.array_equal(pictures[0], first)


def test_maps_name_the_object_and_its_class(tmp_path):
    made = batches(write_yolo(tmp_path, outlines=True), masks=True, augment=AugmentConfig(mosaic=0))
    batch = made(0)
    for sample in range(4):
        mine = batch["image"] == sample
        for number, (kind, box) in enumerate(zip(batch["class"][mine], batch["box"][mine], strict=True), 1):
            where = batch["instance_map"][sample] == number
            if where.any():  # a later one may cover it
                assert set(batch["class_map"][sample][where].tolist()) == {float(kind)}
                rows, columns = np.nonzero(where.numpy())
                centre = np.array([columns.mean(), rows.mean()]) * 4 + 2
                assert np.abs(centre - box[:2].numpy() * 64).max() < 0.5 * 64 * float(box[2:].max())


# Data sets


def test_a_data_set_is_read(data):
    found = open_yolo_data(data)
    assert found.class_names == NAMES
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 12, "val": 4}
    assert not found.has_outlines
    paths = [p for p, _ in open_yolo_data(data / "data.yaml").splits["val"]]
    assert paths == [p for p, _ in found.splits["val"]]


def test_the_run_that_made_labels_stands_for_them(data, tmp_path):
    shutil.copytree(data, tmp_path / "yolo")
    assert len(open_yolo_data(tmp_path).splits["val"]) == 4


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("names: [a]\nval: images/val\n", "lacks a split"),
        ("train: images/train\nval: images/val\n", "names no classes"),
        ("train: ../../elsewhere\nval: images/val\nnames: [a]\n", "leads out of its directory"),
        ("train: /etc\nval: images/val\nnames: [a]\n", "leads out of its directory"),
        ("train: nowhere\nval: images/val\nnames: [a]\n", "holds no image"),
        ("train: [unclosed\n", "no YAML"),
        ("- a\n- b\n", "no YAML"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, data, text, what):
    shutil.copytree(data, tmp_path / "d")
    (tmp_path / "d" / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=what):
        open_yolo_data(tmp_path / "d")


def test_damaged_images_are_counted_or_refused(tmp_path, data):
    where = tmp_path / "d"
    shutil.copytree(data, where)
    (where / "images/train/0.png").write_bytes(b"\x89PNG damaged")
    (where / "labels/train/1.txt").write_text("0 0.5 0.5 7 7\n")
    with pytest.raises(DataError, match="label cannot be read"):
        open_yolo_data(where)
    found = open_yolo_data(where, skip_corrupt=True)
    assert len(found.splits["train"]) == 10
    assert sorted(Path(s.path).name for s in found.skipped) == ["0.png", "1.png"]


def test_without_data_the_next_step_is_said(tmp_path):
    with pytest.raises(DataError, match="not a data set in the YOLO layout") as error:
        open_yolo_data(tmp_path)
    assert "vla vision labels" in str(error.value.next_step)


# Training


def test_a_run_leaves_a_checkpoint_and_no_pickle(run):
    record = read_detector(run / "detector")
    assert record.class_names == NAMES
    assert (record.engine, record.architecture, record.image_size) == ("yolo", "yolo26t", 64)
    assert not record.suppress
    endings = {p.suffix for p in run.rglob("*") if p.is_file()}
    assert endings == {".safetensors", ".json", ".csv", ".png"}


def test_interrupted_training_ends_in_the_same_weights(data, run, tmp_path):
    out = tmp_path / "run"

    def stop(progress: Progress) -> None:
        if progress.stage == "train" and progress.done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_detector(data, CONFIG, out, stop)
    assert not (out / "detector").exists()
    train_detector(data, CONFIG, out)
    weights = "detector/model.safetensors"
    assert sha256_file(out / weights) == sha256_file(run / weights)


def test_training_starts_from_other_weights(data, run, tmp_path):
    config = replace(CONFIG, epochs=1)
    summary, _ = train_detector(data, config, tmp_path / "again", start=run)
    assert summary["tensors_taken_over"] == len(YoloNetwork("yolo26t", 3).state_dict())
    with pytest.raises(ConfigError, match="nothing of the checkpoint"):
        train_detector(data, config, tmp_path / "x", start=_empty(run, tmp_path))


def _empty(run: Path, tmp_path: Path) -> Path:
    """A checkpoint with one tensor that fits nowhere."""
    from safetensors.torch import save_file

    from vla_vision.detection.checkpoint import save_detector

    where, record = tmp_path / "empty", read_detector(run / "detector")
    save_detector(where, record, lambda path: save_file({"x": torch.zeros(1)}, path))
    return where


def test_masks_are_not_learned_from_boxes(data, tmp_path):
    with pytest.raises(ConfigError, match="learned from outlines"):
        train_detector(data, replace(CONFIG, architecture="yolo26t-seg"), tmp_path)


@pytest.mark.parametrize("name", ["yolo26", "resnet", "yolo26q", "yolo26n-cls", "../yolo26n"])
def test_an_unknown_architecture_is_refused(name):
    with pytest.raises(ConfigError, match="no such architecture"):
        YoloNetwork(name, 3)


def test_the_loss_moves_from_many_to_one(data):
    network, batch = YoloNetwork("yolo26t", 3), batches(data)(0)
    for progress, share in ((0.0, 0.8), (1.0, 0.1)):
        losses = network.training_loss(batch | {"progress": torch.tensor(progress)})
        assert torch.isfinite(losses["loss"])
        assert network._criterion.o2m == pytest.approx(share)


def test_a_batch_without_objects_has_a_loss():
    batch = {
        "images": torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
        "image": torch.zeros(0),
        "class": torch.zeros(0, 1),
        "box": torch.zeros(0, 4),
        "progress": torch.tensor(0.5),
    }
    losses = YoloNetwork("yolo26t", 3).training_loss(batch)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])


@pytest.mark.slow
def test_importing_ultralytics_changes_nothing_else():
    program = (
        "import os, cv2, numpy as np, torch\n"
        "cv2.setNumThreads(3)\n"
        "before = dict(os.environ), np.get_printoptions(), cv2.getNumThreads()\n"
        "from vla_vision.detection.yolo import prepare\n"
        "prepare()\n"
        "left = {k: v for k, v in os.environ.items() if not k.startswith('YOLO_')}\n"
        "assert (left, np.get_printoptions(), cv2.getNumThreads()) == before\n"
        "import ultralytics.utils as u\n"
        "assert not u.ONLINE and not u.AUTOINSTALL\n"
    )
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "YOLO_"))}
    done = subprocess.run([sys.executable, "-c", program], env=keep, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_without_ultralytics_it_says_what_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    prepare.cache_clear()
    with pytest.raises(MissingDependencyError, match="need ultralytics") as error:
        prepare()
    assert "AGPL" in str(error.value)
    assert "ONNX" in str(error.value.next_step)


# Engines


def same(found: list[Detections], other: list[Detections]) -> None:
    assert [len(f) for f in found] == [len(f) for f in other]
    for a, b in zip(found, other, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        # Detections whose scores are all but equal may change places.
        order = [np.lexsort((*d.boxes.round(1).T, d.classes)) for d in (a, b)]
        np.testing.assert_allclose(a.boxes[order[0]], b.boxes[order[1]], atol=0.05)
        assert a.classes[order[0]].tolist() == b.classes[order[1]].tolist()


@pytest.fixture(scope="module")
def exports(run: Path) -> dict[str, Path]:
    pytest.importorskip("onnx")
    made = {kind: run.parent / f"{run.name}-{kind}" for kind in ("onnx", "openvino")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, where in made.items():
            export_detector(run, kind, where)  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_every_engine_finds_the_same(run, exports, images, engine):
    pytest.importorskip("onnxruntime" if engine == "onnx" else engine)
    theirs = load_detector(exports[engine], options=ALL)
    ours = load_detector(run, options=ALL)
    assert isinstance(theirs, Detector)
    assert theirs.class_names == ours.class_names == NAMES
    found = ours.detect(images)
    assert sum(map(len, found)) > 10
    same(found, theirs.detect(images))
    square = replace(ALL, rectangular=False, batch_size=1)
    same(
        load_detector(run, options=square).detect(images),
        load_detector(exports[engine], options=square).detect(images),
    )


def test_the_file_alone_explains_itself(exports, images):
    pytest.importorskip("onnxruntime")
    whole, alone = (load_detector(p, options=ALL) for p in (exports["onnx"], exports["onnx"] / "model.onnx"))
    assert alone.class_names == NAMES
    same(whole.detect(images), alone.detect(images))


def test_onnx_runs_where_torch_cannot_be_imported(run, exports, images, tmp_path):
    pytest.importorskip("onnxruntime")
    expected = load_detector(run, options=ALL).detect(images[:1])[0]
    np.save(tmp_path / "image.npy", images[0])
    program = (
        "import sys, socket\n"
        "for name in ('torch', 'torchvision', 'ultralytics', 'transformers', 'lightning'):\n"
        "    sys.modules[name] = None\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "import numpy as np\n"
        "from vla_vision.detection import DetectOptions, load_detector\n"
        "options = DetectOptions(score=0.001, max_detections=20)\n"
        "found = load_detector(sys.argv[1], options=options).detect([np.load(sys.argv[2])])[0]\n"
        "np.save(sys.argv[3], np.concatenate([found.boxes, found.scores[:, None]], axis=1))\n"
    )
    paths = [str(exports["onnx"]), str(tmp_path / "image.npy"), str(tmp_path / "found.npy")]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npy")
    assert len(found) == len(expected)
    np.testing.assert_allclose(np.sort(found[:, 4]), np.sort(expected.scores), atol=1e-5)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_onnx_file_is_named(exports, tmp_path, keep):
    pytest.importorskip("onnxruntime")
    file = tmp_path / "broken.onnx"
    file.write_bytes((exports["onnx"] / "model.onnx").read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="cannot be used") as error:
        load_detector(file)
    assert error.value.where == str(file)


def test_a_damaged_openvino_network_is_named(exports, tmp_path):
    pytest.importorskip("openvino")
    from vla_vision.detection.openvino_engine import open_openvino

    (tmp_path / "model.xml").write_text("<net")
    with pytest.raises(CheckpointError, match="cannot be used"):
        open_openvino(tmp_path, read_detector(exports["openvino"]))


def test_only_a_trained_checkpoint_is_exported(exports, tmp_path):
    with pytest.raises(CheckpointError, match="only a trained checkpoint"):
        export_detector(exports["onnx"], "openvino", tmp_path / "x")


def test_the_other_head_needs_suppression(run, images):
    from vla_vision.detection.checkpoint import find_checkpoint
    from vla_vision.detection.yolo import open_yolo

    directory = find_checkpoint(run)
    record = replace(read_detector(directory), suppress=True)
    many, few = (
        open_yolo(directory, record, replace(ALL, iou=iou, max_detections=300)).detect(images[:1])[0]
        for iou in (1.0, 0.3)
    )
    assert len(few) < len(many)
    assert set(few.scores.tolist()) < set(many.scores.tolist())


@given(st.integers(0, 40), st.integers(0, 1000), st.floats(0.1, 0.9))
def test_suppression_is_that_of_torchvision(count, seed, iou):
    from torchvision.ops import batched_nms

    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 80, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], axis=1).astype(np.float32)
    scores, classes = rng.random(count).astype(np.float32), rng.integers(0, 3, count)
    peer = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes), iou)
    assert suppress(boxes, scores, classes, iou, 1000).tolist() == peer.tolist()


@pytest.mark.slow
def test_masks_are_learned_and_come_out_of_every_engine(tmp_path, images):
    pytest.importorskip("onnxruntime")
    data = write_yolo(tmp_path / "data", outlines=True)
    config = replace(CONFIG, architecture="yolo26t-seg", image_size=96)
    train_detector(data, config, tmp_path / "run")
    export_detector(tmp_path / "run", "onnx", tmp_path / "onnx")
    found, theirs = (load_detector(tmp_path / p, options=ALL).detect(images) for p in ("run", "onnx"))
    for a, b, image in zip(found, theirs, images, strict=True):
        assert a.masks is not None
        assert b.masks is not None
        assert a.masks.shape == (len(a), *image.shape[:2])
        assert a.masks.sum() == pytest.approx(b.masks.sum(), rel=0.01)


@pytest.mark.slow
def test_a_small_network_learns_to_find_things(tmp_path):
    """From nothing, in two minutes of one core: coloured boxes and discs on noise."""
    data = write_yolo(tmp_path / "data", train=120, val=30)
    loop = FitConfig(
        batch_size=8,
        learning_rate=2e-3,
        weight_decay=5e-4,
        warmup_steps=30,
        gradient_clip=10.0,
        ema_decay=0.998,
    )
    config = replace(PRESETS["small"](), image_size=96, epochs=15, fit=loop)
    summary, _ = train_detector(data, config, tmp_path / "run")
    assert summary["map50"] > 0.6
    assert summary["recall_any_class"] > 0.6
