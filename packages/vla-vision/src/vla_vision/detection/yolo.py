"""Networks of the YOLO family through ultralytics: the only module that imports it (AGPL-3.0, see README.md).

Notable features:
- the network and its loss are ultralytics'; data, training loop, checkpoints, decoding and scores are ours,
  so nothing of theirs touches the internet, the user's settings or a pickle
- both heads of YOLO26: one-to-one (no suppression needed) and one-to-many; the loss moves from the second to
  the first as training goes on
- a smaller scale "t" beside n, s, m, l, x, for tests and very small computers
"""

from __future__ import annotations

import copy
import logging
import os
import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vla_data.errors import ConfigError, DataError, MissingDependencyError
from vla_data.fit.hardware import torch_threads
from vla_vision.detection.checkpoint import FILES, DetectorRecord
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import Layout
from vla_vision.detection.network import NetworkDetector, NetworkSpec

FAMILIES = ("yolo26", "yolo11", "yolov8")
SCALES = ("t", "n", "s", "m", "l", "x")
TINY = [0.33, 0.125, 256]  # depth, width, most channels of scale "t"
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5, "overlap_mask": True}
FIRST_SHARE, LAST_SHARE = 0.8, 0.1  # of the one-to-many head in the loss, as training begins and ends
OPSET = 17


class YoloNetwork(nn.Module):
    """A network of the YOLO family, trainable from nothing.

    Args:
        architecture: family, scale and, for masks, "-seg": "yolo26n", "yolo11s", "yolo26n-seg".
        classes: number of classes.

    Raises:
        ConfigError: there is no such architecture.
        MissingDependencyError: ultralytics is not installed.
    """

    def __init__(self, architecture: str, classes: int) -> None:
        super().__init__()
        layers: Any = _architecture(architecture)
        from ultralytics.nn.tasks import DetectionModel, SegmentationModel

        kind = SegmentationModel if architecture.endswith("-seg") else DetectionModel
        self.network: Any = kind(layers, nc=classes, verbose=False)
        self.network.args = SimpleNamespace(**GAINS, epochs=1)
        self.classes = classes
        self._criterion: Any = None

    @property
    def masks(self) -> int:
        """Mask prototypes; 0 for boxes alone."""
        return int(getattr(self.network.model[-1], "nm", 0))

    @property
    def one_to_one(self) -> bool:
        """Whether there is a head whose boxes need no suppression."""
        return getattr(self.network.model[-1], "one2one_cv2", None) is not None

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss per image of a batch of `vla_vision.detection.samples`, and its parts."""
        if self._criterion is None:
            self._criterion = self.network.init_criterion()
        if hasattr(self._criterion, "o2m"):
            share = FIRST_SHARE + (LAST_SHARE - FIRST_SHARE) * float(batch["progress"])
            self._criterion.o2m, self._criterion.o2o = share, 1 - share
        images = batch["images"].float() / 255
        targets = {"batch_idx": batch["image"], "cls": batch["class"], "bboxes": batch["box"]}
        if self.masks:
            targets |= {"masks": batch["instance_map"], "sem_masks": batch["class_map"]}
        parts, named = self._criterion(self.network(images), targets)
        return {"loss": parts.sum() / len(images), **{k.removesuffix("_loss"): v for k, v in named.items()}}

    def inference(self, suppress: bool) -> nn.Module:
        """A fused copy for inference that gives every anchor's x1 y1 x2 y2 in pixels and scores."""
        network = copy.deepcopy(self.network).eval()
        network.criterion = None
        head = network.model[-1]
        head.end2end = not suppress
        network.fuse(verbose=False)
        head.export, head.xyxy, head.dynamic, head.format = True, True, True, "onnx"
        head.postprocess = _untouched
        return network.requires_grad_(False)


def open_yolo(directory: Path, record: DetectorRecord, options: DetectOptions) -> NetworkDetector:
    """The detector of a checkpoint, run by torch."""
    from vla_data.fit import load_weights

    network = YoloNetwork(record.architecture, len(record.class_names))
    load_weights(network, directory / FILES["yolo"])
    return detector_of(network, record, options)


def detector_of(network: YoloNetwork, record: DetectorRecord, options: DetectOptions) -> NetworkDetector:
    """A detector over a copy of a network as it is now."""
    device = torch.device(_device(options.device))
    fused = network.inference(record.suppress).to(device)
    layout = Layout("anchors", network.classes, network.masks, corners=True, suppress=record.suppress)

    def forward(images: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode(), torch_threads(options.threads if device.type == "cpu" else None):
            found = fused(torch.from_numpy(images).to(device))
        outputs = found if isinstance(found, (tuple, list)) else [found]
        return [o.float().cpu().numpy() for o in outputs]

    return NetworkDetector(forward, NetworkSpec(record.class_names, record.image_size, layout), options)


def write_onnx(network: YoloNetwork, path: Path, record: DetectorRecord) -> None:
    """Write the network for ONNX Runtime: any number of frames of any size in multiples of 32.

    The class names and how to read the output travel in the file's metadata.
    """
    fused = network.inference(record.suppress)
    size = record.image_size
    names = ["output", *(["prototypes"] if network.masks else [])]
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output": {0: "batch", 2: "anchors"}}
    if network.masks:
        axes["prototypes"] = {0: "batch", 2: "mask_height", 3: "mask_width"}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is the deprecated one: the new one needs onnxscript
        torch.onnx.export(
            fused,
            (torch.zeros(1, 3, size, size),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=names,
            dynamic_axes=axes,
        )


def read_yaml(path: Path) -> Any:
    """What a YAML file holds: plain values only (ultralytics brings the parser).

    Raises:
        DataError: the file is no YAML.
    """
    prepare()
    from ultralytics.utils import YAML

    try:
        return YAML.load(str(path))
    except (ValueError, OSError, AssertionError) as error:
        raise _no_yaml(path, error) from error
    except Exception as error:  # the parser's own errors, whose package is not ours to name
        if type(error).__module__.partition(".")[0] != "yaml":
            raise
        raise _no_yaml(path, error) from error


@cache
def prepare() -> None:
    """Import ultralytics, quiet and offline; what the import changes of the process is put back.

    Raises:
        MissingDependencyError: it is not installed.
    """
    import cv2

    before, printing, threads = set(os.environ), np.get_printoptions(), cv2.getNumThreads()
    cache_root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_root / "vla"))
    os.environ.update({"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0"})
    try:
        import ultralytics.nn.tasks  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "training and running YOLO by torch need ultralytics",
            expected="the extra vla-vision[yolo] (AGPL-3.0; the README says what that means)",
            got=str(error),
            next_step='pip install "vla-vision[yolo]"; exported ONNX and OpenVINO detectors run without it',
        ) from error
    finally:
        for name in set(os.environ) - before:
            if not name.startswith("YOLO_"):
                del os.environ[name]
        np.set_printoptions(**printing)
        torch.set_printoptions(profile="default")
        cv2.setNumThreads(threads)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)


def _no_yaml(path: Path, error: Exception) -> DataError:
    return DataError(
        "a file is no YAML", where=str(path), got=str(error).splitlines()[0] if str(error) else None
    )


def _untouched(predictions: Tensor) -> Tensor:
    """In place of the head's choice of the best 300: `decoding` chooses, for every engine alike."""
    return predictions.permute(0, 2, 1)


def _architecture(name: str) -> dict[str, Any]:
    match = re.fullmatch(rf"({'|'.join(FAMILIES)})([{''.join(SCALES)}])(-seg)?", name)
    if match is None:
        raise ConfigError(
            "there is no such architecture",
            where="architecture",
            expected=f"{' or '.join(FAMILIES)}, then one of {', '.join(SCALES)}, then -seg for masks",
            got=name,
            next_step="such as yolo26n",
        )
    family, scale, task = match[1], match[2], match[3] or ""
    prepare()
    from ultralytics.nn.tasks import yaml_model_load

    found: Any = yaml_model_load(f"{family}n{task}.yaml")
    found["scales"]["t"] = TINY
    return found | {"scale": scale}


def _device(wanted: str) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device", where="device", got="cuda", next_step="use device=auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
