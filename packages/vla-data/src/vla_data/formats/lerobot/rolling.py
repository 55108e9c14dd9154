"""Files that a writer fills one after the other: each full one is closed, and the next begun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vla_data.formats.lerobot.info import DATA_PATH, VIDEO_PATH
from vla_data.types import ImageSequence
from vla_data.video import Mp4Writer

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1000  # files a directory
DATA_MB, VIDEO_MB = 100, 200
CRF, KEY_FRAMES = "18", 2  # near lossless; any frame is at most one after a key frame
COMPRESSION = "ZSTD"
MB = 1 << 20


class DataFiles:
    """Parquet files of numbers and embedded images, one row group an episode.

    Args:
        images: columns of images, which are compressed already.
    """

    def __init__(self, root: Path, images: list[str]) -> None:
        self.root, self.images = root, images
        self.paths: list[Path] = []
        self._writer: Any = None
        self._sink: Any = None

    def write(self, table: pa.Table) -> tuple[int, int]:
        """Append an episode; the (chunk, file) it lies in."""
        if self._writer is None or self._sink.tell() >= DATA_MB * MB:
            self._begin(table.schema)
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        return divmod(len(self.paths) - 1, CHUNK)

    def close(self) -> None:
        """Write the footer of the file under way."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = None

    abandon = close  # what was begun is removed with its directory

    def _begin(self, schema: pa.Schema) -> None:
        self.close()
        chunk, file = divmod(len(self.paths), CHUNK)
        path = self.root / DATA_PATH.format(chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer, self._sink = parquet_writer(path, schema, self.images)
        self.paths.append(path)


class VideoFiles:
    """The videos of one camera, several episodes a file."""

    def __init__(self, root: Path, key: str, size: tuple[int, int], frame_rate: float) -> None:
        self.root, self.key, self.size, self.rate = root, key, size, frame_rate
        self._video: Mp4Writer | None = None
        self._count = 0

    def write(self, frames: ImageSequence) -> dict[str, Any]:
        """Append the frames of an episode; what the table of episodes says of them."""
        if self._video is None or self._video.bytes >= VIDEO_MB * MB:
            self._begin()
        assert self._video is not None
        chunk, file = divmod(self._count - 1, CHUNK)
        first = self._video.frames
        for i in range(len(frames)):
            self._video.add(frames[i])
        said = {"chunk_index": chunk, "file_index": file}
        said |= {"from_timestamp": first / self.rate, "to_timestamp": self._video.frames / self.rate}
        return {f"videos/{self.key}/{name}": value for name, value in said.items()}

    def close(self) -> None:
        """Write the index of the file under way."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def abandon(self) -> None:
        """Let go of the file under way, which is removed with its directory."""
        if self._video is not None:
            self._video.abandon()
            self._video = None

    def _begin(self) -> None:
        self.close()
        chunk, file = divmod(self._count, CHUNK)
        path = self.root / VIDEO_PATH.format(video_key=self.key, chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._video = Mp4Writer(path, self.size, self.rate, CRF, KEY_FRAMES)
        self._count += 1


def parquet_writer(path: Path, schema: pa.Schema, stored: list[str]) -> tuple[Any, Any]:
    """A writer with checksums on its pages, and its stream; `stored` columns are left uncompressed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: Any = dict.fromkeys(_leaf_paths(schema), COMPRESSION)
    columns |= {f"{key}.{part}": "NONE" for key in stored for part in ("bytes", "path")}
    sink = pa.OSFile(str(path), "wb")
    writer = pq.ParquetWriter(
        sink, schema, compression=columns, use_dictionary=False, write_page_checksum=True, version="2.6"
    )
    return writer, sink


def _leaf_paths(schema: pa.Schema) -> list[str]:
    """Names by which Parquet knows the columns, lists and structures opened."""
    import pyarrow as pa

    found = []
    for field in schema:
        path, kind = field.name, field.type
        while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            path, kind = f"{path}.list.element", kind.value_type
        found += [f"{path}.{c.name}" for c in kind] if pa.types.is_struct(kind) else [path]
    return found
