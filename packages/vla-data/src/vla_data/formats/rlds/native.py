"""Episodes of a data set of our own: to a record and back, without loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_data.config import from_dict, to_dict
from vla_data.errors import DataError
from vla_data.formats.example import Example, Values
from vla_data.formats.features import Leaf
from vla_data.formats.leaves import decode_leaf, encode_leaf, first_text
from vla_data.formats.rlds.schema import RLDS_SERIES, Schema
from vla_data.images import EncodedImages, ImageEncoding, encode, sniff
from vla_data.types import Camera, Episode, ImageSequence, RobotSpec, SubStep


@dataclass(frozen=True)
class NativeDoor:
    """Reads records that `encode_episode` wrote with the same schema."""

    schema: Schema
    leaves: dict[str, Leaf] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "leaves", self.schema.leaves())

    @property
    def robot(self) -> RobotSpec:
        return self.schema.robot

    @property
    def cameras(self) -> dict[str, Camera]:
        return {c.name: c for c in self.schema.cameras}

    @property
    def roles(self) -> dict[str, str]:
        """Flat key → what it is in this suite's vocabulary."""
        named = {"steps/action": "action", "steps/observation/state": "state", "steps/timestamp": "time"}
        named["steps/language_instruction"] = "instruction"
        named |= {f"steps/observation/{c.name}": f"camera {c.name}" for c in self.schema.cameras}
        named |= {f"steps/observation/{name}_depth": f"depth {name}" for name in self.schema.depth}
        return named | {self.schema.series_key(name): f"series {name}" for name in self.schema.series}

    def episode(self, example: Example, fallback_id: str, images: bool) -> Episode:
        """The episode of a record; without `images`, no frame, depth and mask of it is looked at."""
        schema = self.schema
        series = [name for name, column in schema.series.items() if images or not column.packed]
        action = self._get(example, "steps/action")
        state = np.zeros((len(action), 0), np.float32)
        return Episode(
            id=self._get(example, "episode_metadata/episode_id") or fallback_id,
            robot=schema.robot,
            action=action,
            state=self._get(example, "steps/observation/state") if schema.state_dim else state,
            time=self._get(example, "steps/timestamp"),
            images={c.name: self._frames(example, c) for c in schema.cameras} if images else {},
            instruction=first_text(example, "steps/language_instruction"),
            paraphrases=tuple(self._get(example, "episode_metadata/paraphrases")),
            depth={n: self._get(example, f"steps/observation/{n}_depth") for n in schema.depth if images},
            substeps=self._substeps(example),
            cameras=self._cameras(example),
            series={name: self._get(example, schema.series_key(name)) for name in series},
            metadata=json.loads(self._get(example, "episode_metadata/metadata_json")),
        )

    def _get(self, example: Example, key: str) -> Any:
        return decode_leaf(example, key, self.leaves[key])

    def _frames(self, example: Example, camera: Camera) -> EncodedImages:
        key = f"steps/observation/{camera.name}"
        return EncodedImages(
            self._get(example, key), f"{example.where}, key {key!r}", (camera.height, camera.width)
        )

    def _substeps(self, example: Example) -> tuple[SubStep, ...]:
        columns = [self._get(example, f"episode_metadata/substeps/{k}") for k in ("start", "stop", "text")]
        return tuple(SubStep(int(a), int(b), text) for a, b, text in zip(*columns, strict=True))

    def _cameras(self, example: Example) -> dict[str, Camera]:
        text = self._get(example, "episode_metadata/cameras_json")
        return {c.name: c for c in map(_camera, json.loads(text))} if text else self.cameras


def encode_episode(episode: Episode, schema: Schema) -> dict[str, Values]:
    """The columns of an episode that `check_episode` let through."""
    values = {
        **_steps(episode, schema),
        "episode_metadata/episode_id": episode.id,
        "episode_metadata/paraphrases": episode.paraphrases,
        "episode_metadata/substeps/start": [s.start for s in episode.substeps],
        "episode_metadata/substeps/stop": [s.stop for s in episode.substeps],
        "episode_metadata/substeps/text": [s.text for s in episode.substeps],
        "episode_metadata/metadata_json": _metadata_text(episode),
        "episode_metadata/cameras_json": _camera_text(episode.cameras, schema),
    }
    return {key: encode_leaf(values[key], leaf) for key, leaf in schema.leaves().items()}


def _steps(episode: Episode, schema: Schema) -> dict[str, Any]:
    steps = len(episode)
    last = np.arange(steps) == steps - 1
    done = last & bool(episode.metadata.get("success", True))
    rlds = (done.astype(np.float32), np.ones(steps, np.float32), np.arange(steps) == 0, last, done)
    values: dict[str, Any] = {f"steps/{k}": v for k, v in zip(RLDS_SERIES, rlds, strict=True)}
    values |= {
        "steps/action": episode.action,
        "steps/timestamp": episode.time,
        "steps/language_instruction": [episode.instruction] * steps,
    }
    if schema.state_dim:
        values["steps/observation/state"] = episode.state
    for camera in schema.cameras:
        frames = _encode_frames(episode.images[camera.name], schema.image_encoding)
        values[f"steps/observation/{camera.name}"] = frames
    values |= {f"steps/observation/{name}_depth": episode.depth[name] for name in schema.depth}
    return values | {schema.series_key(name): episode.series[name] for name in schema.series}


def _encode_frames(frames: ImageSequence, encoding: ImageEncoding) -> list[bytes]:
    """Frames that are already encoded so are passed on as they are, which keeps JPEG from losing twice."""
    if isinstance(frames, EncodedImages) and all(sniff(f) == encoding for f in frames.frames):
        return [bytes(f) for f in frames.frames]
    return [encode(frames[i], encoding) for i in range(len(frames))]


def _metadata_text(episode: Episode) -> str:
    try:
        return json.dumps(dict(episode.metadata), allow_nan=False, default=lambda scalar: scalar.item())
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            "metadata of an episode cannot be written",
            where=f"episode {episode.id}",
            expected="texts, finite numbers and booleans",
            got=str(error),
        ) from error


def _camera(data: Mapping[str, Any]) -> Camera:
    return from_dict(Camera, data)


def _camera_text(cameras: Mapping[str, Camera], schema: Schema) -> str:
    known = tuple(cameras.values())
    return "" if not known or known == schema.cameras else json.dumps(to_dict(known), allow_nan=False)


def check_episode(episode: Episode, schema: Schema) -> None:
    """Refuse what would not come back as it was given.

    Raises:
        DataError: no step, another robot, other cameras, columns, dtypes or shapes, or a value that is
            NaN or infinite in action, state or time.
    """
    where = f"episode {episode.id}"
    if not len(episode):
        raise DataError("an episode without steps", where=where, expected="at least one step")
    episode.robot.action.require_same(schema.robot.action, where)
    shown = Schema.of(episode, schema.robot, {c.name: c for c in schema.cameras}, schema.image_encoding)
    for what in ("state_dim", "depth", "series"):
        expected, got = getattr(schema, what), getattr(shown, what)
        if expected != got:
            _refuse(f"{what} differs from the data set's", where, str(expected), str(got))
    if set(episode.images) != {c.name for c in schema.cameras}:
        names = ", ".join(c.name for c in schema.cameras)
        _refuse("cameras differ from the data set's", where, names, ", ".join(episode.images))
    for name, values in (("action", episode.action), ("state", episode.state), ("time", episode.time)):
        if not np.isfinite(values).all():
            _refuse(f"{name} holds NaN or Inf", where, "finite values", str(values[~np.isfinite(values)][0]))
    if episode.action.shape[1:] != (schema.robot.action.dim,):
        shape = f"[T, {schema.robot.action.dim}]"
        _refuse("action has another width than its spec", where, shape, str(episode.action.shape))
    for camera in schema.cameras:
        _check_size(episode.images[camera.name], camera, f"{where}, camera {camera.name}")


def _check_size(frames: ImageSequence, camera: Camera, where: str) -> None:
    expected = (camera.height, camera.width, 3)
    for i in (0, len(frames) - 1):
        frame = frames[i]
        if frame.shape != expected or frame.dtype != np.uint8:
            got = f"{frame.dtype} {frame.shape}"
            _refuse("a frame of another size than its camera", f"{where}, frame {i}", str(expected), got)


def _refuse(message: str, where: str, expected: str, got: str) -> None:
    raise DataError(message, where=where, expected=expected, got=got)
