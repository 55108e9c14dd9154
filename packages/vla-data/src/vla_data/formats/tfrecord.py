"""TFRecord files, read by memory map and written whole.

A record is: length (uint64, little-endian), masked crc32c of the length, data, masked crc32c of the data.
Notable features:
- opening a file walks its record headers only, the first time (`index_cache`)
- lengths are always checked against their checksum; data is checked unless asked not to
- every problem is a `DataError` that names file, record and byte offset
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn, Self

import crc32c
import numpy as np

from vla_data.errors import DataError
from vla_data.files import atomic_path
from vla_data.formats.index_cache import record_lengths

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
OVERHEAD = HEADER.size + FOOTER.size  # bytes a record takes beside its data
MASK_DELTA = 0xA282EAD8
MAPPED_AROUND = 65536  # bytes that the kernel maps with a page that is asked for, on either side


def masked_crc32c(data: bytes | memoryview) -> int:
    """crc32c rotated right by 15 bits plus a constant, so that a checksum of a checksum stays useful."""
    crc = crc32c.crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF


class RecordFile:
    """Random access to the records of one file.

    Raises:
        DataError: the file is missing, or a header does not fit its checksum or the file's size.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._buffer = _map_file(path)
        self.offsets, self.lengths = self._index()

    def __len__(self) -> int:
        return len(self.offsets)

    def view(self, index: int) -> memoryview:
        """The data of a record, straight from the page cache and unchecked; only bytes looked at are read."""
        start = int(self.offsets[index])
        return memoryview(self._buffer)[start : start + int(self.lengths[index])]

    def read(self, index: int, verify: bool = True) -> bytes:
        """A copy of the data of a record.

        Raises:
            DataError: the data does not fit its checksum.
        """
        view = self.view(index)
        data = bytes(view)
        if verify:
            end = int(self.offsets[index]) + len(data)
            expected = self.stored_checksum(index)
            if masked_crc32c(data) != expected:
                start = int(self.offsets[index])
                self._fail(
                    "a record is damaged: its data does not fit its checksum",
                    index,
                    start,
                    expected=f"masked crc32c {expected:#010x} (stored at byte {end})",
                    got=f"{masked_crc32c(data):#010x} over {len(data)} bytes",
                )
        self._release(index)
        return data

    def stored_checksum(self, index: int) -> int:
        """The masked crc32c that the file holds of a record's data."""
        return FOOTER.unpack_from(self._buffer, int(self.offsets[index] + self.lengths[index]))[0]

    def where(self, index: int) -> str:
        """How errors about a record name it."""
        return f"{self.path}, record {index} at byte {int(self.offsets[index]) - HEADER.size}"

    def __iter__(self) -> Iterator[bytes]:
        return (self.read(i) for i in range(len(self)))

    def _release(self, index: int) -> None:
        """Give pages of a record that was copied back, or a long pass would hold the whole file resident."""
        if isinstance(self._buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            first = max(0, int(self.offsets[index]) // mmap.PAGESIZE * mmap.PAGESIZE - MAPPED_AROUND)
            last = min(len(self._buffer), int(self.offsets[index] + self.lengths[index]) + MAPPED_AROUND)
            self._buffer.madvise(mmap.MADV_DONTNEED, first, last - first)

    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        lengths = record_lengths(self.path, self._walk)
        if (lengths < 0).any() or int((lengths + OVERHEAD).sum()) != len(self._buffer):
            lengths = self._walk()  # not those of this file
        ends = np.cumsum(lengths + OVERHEAD)
        return ends - lengths - FOOTER.size, lengths

    def _walk(self) -> np.ndarray:
        """The lengths of the records, each held against its checksum."""
        lengths: list[int] = []
        position, size = 0, len(self._buffer)
        while position < size:
            lengths.append(self._header(len(lengths), position, size))
            position += OVERHEAD + lengths[-1]
        return np.array(lengths, np.int64)

    def _header(self, index: int, position: int, size: int) -> int:
        if position + HEADER.size > size:
            self._fail(
                "a file ends inside a record's header",
                index,
                position,
                expected=f"{HEADER.size} bytes of header",
                got=f"{size - position} bytes before the end of the file",
            )
        length, crc = HEADER.unpack_from(self._buffer, position)
        if masked_crc32c(self._buffer[position : position + 8]) != crc:
            self._fail(
                "a record's length is damaged: it does not fit its checksum",
                index,
                position,
                expected=f"masked crc32c {crc:#010x} (stored at byte {position + 8})",
                got=f"length {length}",
            )
        if position + OVERHEAD + length > size:
            self._fail(
                "a file ends inside a record",
                index,
                position,
                expected=f"{length} bytes of data and {FOOTER.size} of checksum",
                got=f"{size - position - HEADER.size} bytes before the end of the file",
            )
        return length

    def _fail(self, message: str, index: int, offset: int, **details: str) -> NoReturn:
        raise DataError(
            message,
            where=f"{self.path}, record {index}, byte {offset}",
            next_step="fetch or generate this file again; the other shards are not affected",
            **details,
        )


def _map_file(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as handle:
            if os.fstat(handle.fileno()).st_size == 0:
                return b""  # an empty file cannot be mapped
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DataError(
            "a shard is missing",
            where=f"{path}, record 0, byte 0",
            expected="a TFRecord file",
            got="no file",
            next_step="fetch or generate the data set again; finished shards are kept",
        ) from None
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


class RecordWriter:
    """Writes records to a file that appears under its name only when `close` succeeded.

    Used as a context manager: leaving it by an exception leaves nothing behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._guard: AbstractContextManager[Path] = atomic_path(path)
        part = self._guard.__enter__()
        try:
            self._file: BinaryIO = part.open("wb")
        except OSError as error:
            self._guard.__exit__(type(error), error, error.__traceback__)
            raise _failure(path, 0, 0, error) from error
        self._open = True

    def write(self, data: bytes) -> None:
        """Append one record.

        Raises:
            DataError: the disk is full or the file cannot be written; nothing is left of it.
        """
        header = struct.pack("<Q", len(data))
        try:
            self._file.write(header + FOOTER.pack(masked_crc32c(header)))
            self._file.write(data)
            self._file.write(FOOTER.pack(masked_crc32c(data)))
        except OSError as error:
            offset = self._position()
            raise self.abandon(error, offset) from error
        self.count += 1

    def close(self) -> None:
        """Flush to disk and give the file its name."""
        if not self._open:
            return
        offset = self._position()
        try:
            self._file.close()
            self._open = False
            self._guard.__exit__(None, None, None)
        except OSError as error:
            raise self.abandon(error, offset) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        error = exc[1]
        if isinstance(error, BaseException):
            self.abandon(error)
        else:
            self.close()

    def _position(self) -> int | str:
        try:
            return self._file.tell()
        except (OSError, ValueError):
            return "unknown"

    def abandon(self, error: BaseException, offset: int | str | None = None) -> DataError:
        """Leave nothing of the file; gives the error that says so."""
        offset = self._position() if offset is None else offset
        if self._open:
            self._open = False
            with suppress(OSError):
                self._file.close()
            self._guard.__exit__(type(error), error, error.__traceback__)
        return _failure(self.path, self.count, offset, error)


def _failure(path: Path, record: int, offset: int | str, error: BaseException) -> DataError:
    return DataError(
        "a shard cannot be written; nothing was left under its name",
        where=f"{path}, record {record}, byte {offset}",
        got=str(error),
        next_step="free space or choose another directory, then run the command again",
    )
