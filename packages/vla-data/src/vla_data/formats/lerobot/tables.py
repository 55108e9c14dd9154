"""The tables of a LeRobot data set: steps, episodes, tasks and sub-tasks, and info.json over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vla_data.formats.lerobot.columns import to_arrow
from vla_data.formats.lerobot.info import EPISODES_PATH, VERSION, Feature, Info
from vla_data.formats.lerobot.rolling import CHUNK, DATA_MB, VIDEO_MB, parquet_writer
from vla_data.formats.lerobot.statistics import Stats
from vla_data.images import EncodedImages, encode, sniff
from vla_data.types import Episode, ImageSequence

Images = Literal["keep", "png", "jpeg", "video"]

FLUSH = 64  # episodes whose rows are held in memory


class EpisodeTable:
    """`meta/episodes`: one row an episode, written in batches."""

    def __init__(self, root: Path) -> None:
        self.path = root / EPISODES_PATH.format(chunk_index=0, file_index=0)
        self._rows: list[dict[str, Any]] = []
        self._count = 0
        self._writer: Any = None
        self._sink: Any = None

    def __len__(self) -> int:
        return self._count

    def add(self, row: dict[str, Any], stats: dict[str, Stats]) -> None:
        """Append an episode and its statistics."""
        row = row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        row |= {f"stats/{key}/{name}": value for key, named in stats.items() for name, value in named.items()}
        self._rows.append(row)
        self._count += 1
        if len(self._rows) >= FLUSH:
            self._flush()

    def close(self) -> None:
        """Write what is held, and the footer."""
        self._flush()
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = None

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        schema = None if self._writer is None else self._writer.schema
        table = pa.Table.from_pylist(self._rows, schema)
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer, self._sink = parquet_writer(self.path, table.schema, [])
        self._writer.write_table(table)
        self._rows.clear()


class Texts:
    """Texts by number, in order of first use; the text is the table's index, as pandas keeps one.

    Args:
        number: name of the column of numbers.
    """

    def __init__(self, number: str) -> None:
        self.name = number
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, text: str) -> int:
        """The number of a text, a new one for a new text."""
        return self._numbers.setdefault(text, len(self._numbers))

    def along(self, episode: Episode) -> np.ndarray:
        """The number of the sub-step at each step, int64 [T]; steps in none are one too, without words."""
        numbers = np.full(len(episode), self.number(""))
        for sub in episode.substeps:
            numbers[sub.start : sub.stop] = self.number(sub.text)
        return numbers

    def write(self, path: Path) -> None:
        """Write the table."""
        import pyarrow as pa

        index = "__index_level_0__"
        texts = pa.array(list(self._numbers), pa.string())
        numbers = pa.array(list(self._numbers.values()), pa.int64())
        table = pa.table({self.name: numbers, index: texts})
        kinds = [(self.name, self.name, "int64", "int64"), (None, index, "unicode", "object")]
        keys = ("name", "field_name", "pandas_type", "numpy_type")
        columns = [dict(zip(keys, kind, strict=True)) | {"metadata": None} for kind in kinds]
        heads = [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object"}]
        heads[0]["metadata"] = {"encoding": "UTF-8"}  # type: ignore[assignment]
        said = {"index_columns": [index], "column_indexes": heads, "columns": columns}
        table = table.replace_schema_metadata({"pandas": json.dumps(said)})
        path.parent.mkdir(parents=True, exist_ok=True)
        writer, sink = parquet_writer(path, table.schema, [])
        with sink, writer:
            writer.write_table(table)


def episode_table(
    features: Mapping[str, Feature],
    numbers: Mapping[str, np.ndarray],
    pictures: Mapping[str, ImageSequence],
    images: Images,
) -> Any:
    """The rows of an episode; `pictures` are embedded, PNG or JPEG as `images` says."""
    import pyarrow as pa

    columns = {k: to_arrow(np.asarray(numbers[k], f.dtype)) for k, f in features.items() if f.is_number}
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    for key, frames in pictures.items():
        columns[key] = pa.array([{"bytes": b, "path": None} for b in _encoded(frames, images)], kind)
    said = {"info": {"features": {key: {"_type": "Image"} for key in pictures}}}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(said)})


def _encoded(frames: ImageSequence, images: Images) -> list[bytes]:
    """Frames encoded already are passed on where that is what is wanted."""
    wanted = {"png", "jpeg"} if images == "keep" else {images}
    if isinstance(frames, EncodedImages) and all(sniff(f) in wanted for f in frames.frames):
        return [bytes(f) for f in frames.frames]
    encoding = "png" if images == "keep" else images
    return [encode(frames[i], encoding) for i in range(len(frames))]


def info_json(info: Info, frames: int, tasks: int) -> dict[str, Any]:
    """What `meta/info.json` holds."""
    return {
        "codebase_version": VERSION,
        "robot_type": info.robot,
        "total_episodes": info.episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": info.fps,
        "splits": {name: f"{r.start}:{r.stop}" for name, r in info.splits.items() if r},
        "data_path": info.data_path,
        "video_path": info.video_path or None,
        "features": {key: _entry(f, info.fps) for key, f in info.features.items()},
    }


def _entry(feature: Feature, fps: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"dtype": feature.dtype, "shape": list(feature.shape)}
    entry["names"] = list(feature.names) or None
    if feature.dtype == "video":
        height, width, channels = feature.shape
        said = {"height": height, "width": width, "codec": "h264", "pix_fmt": "yuv420p"}
        said |= {"is_depth_map": False, "fps": fps, "channels": channels}
        entry["info"] = {f"video.{k}": v for k, v in said.items()} | {"has_audio": False}
    return entry
