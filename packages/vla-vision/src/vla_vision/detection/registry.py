"""Which detectors there are, and the one way to open any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vla_data.errors import CheckpointError, ConfigError, UnknownNameError, nearest_names
from vla_data.files import read_json
from vla_data.registry import lookup
from vla_data.runs import MANIFEST
from vla_vision.detection.checkpoint import CONFIG, FILES, DetectorRecord, find_checkpoint, read_detector
from vla_vision.detection.config import DetectOptions
from vla_vision.types import Detector

WITHOUT_WEIGHTS, MOTION = "blobs", "motion"


@dataclass(frozen=True)
class DetectorRequest:
    """What is asked of a factory.

    Args:
        source: path or hub id of the weights.
        options: thresholds and limits.
        class_names: prompts of an open vocabulary, or names for a network that carries none.
        allow_download: whether weights may be fetched.
    """

    source: str
    options: DetectOptions = field(default_factory=DetectOptions)
    class_names: tuple[str, ...] = ()
    allow_download: bool = False


def _yolo(request: DetectorRequest) -> Detector:
    directory, record = _checkpoint(request, "yolo")
    from vla_vision.detection.yolo import open_yolo

    return open_yolo(directory, record, request.options)


def _onnx(request: DetectorRequest) -> Detector:
    from vla_vision.detection.onnx_engine import open_onnx

    path = Path(request.source)
    if path.is_dir():
        path, _ = _checkpoint(request, "onnx")
    return open_onnx(path, request.options, request.class_names)


def _openvino(request: DetectorRequest) -> Detector:
    from vla_vision.detection.openvino_engine import open_openvino

    path = Path(request.source)
    directory, record = _checkpoint(
        replace(request, source=str(path.parent if path.is_file() else path)), "openvino"
    )
    return open_openvino(directory, record, request.options)


def _open_vocabulary(request: DetectorRequest) -> Detector:
    from vla_vision.detection.open_vocabulary import open_vocabulary

    return open_vocabulary(
        request.source, request.class_names, request.options, allow_download=request.allow_download
    )


def _blobs(request: DetectorRequest) -> Detector:
    from vla_vision.detection.blobs import BlobDetector

    return BlobDetector(request.options)


def _motion(request: DetectorRequest) -> Detector:
    from vla_vision.detection.motion import MotionDetector

    return MotionDetector(request.options)


DETECTORS: dict[str, Callable[[DetectorRequest], Detector]] = {
    "yolo": _yolo,
    "onnx": _onnx,
    "openvino": _openvino,
    "open-vocabulary": _open_vocabulary,
    WITHOUT_WEIGHTS: _blobs,
    MOTION: _motion,
}


def load_detector(
    source: str | Path,
    *,
    kind: str | None = None,
    options: DetectOptions | None = None,
    class_names: tuple[str, ...] = (),
    allow_download: bool = False,
) -> Detector:
    """Open a detector.

    Args:
        source: a checkpoint or export of ours, an .onnx file, a directory or hub id of a transformers model
            for open vocabularies; or "blobs" or "motion", which need no weights.
        kind: one of `DETECTORS`; found out by what lies at `source` when not given.
        options: thresholds and limits.
        class_names: text prompts of an open vocabulary, or names for a network that carries none.
        allow_download: fetch weights that are not here; nothing is ever fetched otherwise.

    Raises:
        UnknownNameError: there is no such kind.
        CheckpointError: nothing usable lies at `source`, or it is damaged.
        MissingDependencyError: the package that runs it is not installed.
    """
    source = str(source)
    kind = kind or _sniff(source, class_names)
    factory = lookup("detector", DETECTORS, kind)
    return factory(DetectorRequest(source, options or DetectOptions(), class_names, allow_download))


def _sniff(source: str, class_names: tuple[str, ...]) -> str:
    """The kind of detector that lies at `source`."""
    path = find_checkpoint(Path(source))
    if source in (WITHOUT_WEIGHTS, MOTION):
        return source
    if path.is_dir() and (path / MANIFEST).is_file():
        return read_detector(path).engine
    if path.is_dir() and (path / CONFIG).is_file() and "model_type" in read_json(path / CONFIG):
        return "open-vocabulary"
    if path.is_file():
        return _by_ending(path)
    if not path.exists() and class_names and source.count("/") == 1:  # a hub id with prompts
        return "open-vocabulary"
    if not path.exists() and not Path(source).suffix and nearest_names(source, DETECTORS):
        raise UnknownNameError("detector", source, DETECTORS)
    raise missing_weights(source)


def _by_ending(path: Path) -> str:
    kinds = {".onnx": "onnx", ".xml": "openvino"}
    if path.suffix in kinds:
        return kinds[path.suffix]
    if path.suffix in (".pt", ".pth"):
        raise CheckpointError(
            "a .pt file is a pickle: opening it runs whatever code is in it",
            where=str(path),
            expected="our checkpoint (safetensors) or an ONNX export",
            next_step="if you trust it, export it with its own tools: yolo export format=onnx model=FILE",
        )
    raise missing_weights(str(path))


def missing_weights(source: str) -> CheckpointError:
    """There is no detector here: where to get one, and what works without."""
    path = Path(source)
    return CheckpointError(
        "no detector is found here",
        where=source or "--weights",
        expected="a directory of vla vision train or export, an .onnx file, a transformers directory",
        got="nothing of these" if path.exists() else "no such file or directory",
        next_step=(
            "train one: vla vision train --data DIR --out runs/detector; any ONNX export of a YOLO works; "
            f"without weights, --weights {WITHOUT_WEIGHTS} finds what stands out from a plain background, "
            f"--weights {MOTION} what moves before a still camera, "
            "and tracking reads boxes from a file"
        ),
    )


def _checkpoint(request: DetectorRequest, engine: str) -> tuple[Path, DetectorRecord]:
    directory = find_checkpoint(Path(request.source))
    if not (directory / CONFIG).is_file():
        raise missing_weights(request.source)
    record = read_detector(directory)
    if record.engine != engine:
        raise ConfigError(
            "a detector of another kind lies here",
            where=str(directory),
            expected=f"{engine} ({FILES[engine]})",  # type: ignore[index]
            got=record.engine,
            next_step=f"leave the kind out, or export: vla vision export {directory} --to onnx --out DIR",
        )
    return directory, record
