"""The files of one data set, copied: in parallel, resumable, each verified before it gets its name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vla_data.errors import DataError, VlaError
from vla_data.files import inside
from vla_data.formats.rlds.layout import open_shard
from vla_data.openx.checksums import digest_file
from vla_data.openx.faults import CancelledError, DiskSpaceError, Patience
from vla_data.openx.jobs import Meter, run_jobs
from vla_data.openx.manifest import DownloadManifest, FileEntry
from vla_data.openx.placing import check_layout, remove_facts, write_facts
from vla_data.openx.plan import Plan
from vla_data.openx.remote import RemoteObject
from vla_data.openx.transfer import Transfer, part_path
from vla_data.protocols import OnProgress

FAILURES = 3  # files that may fail before the rest is not tried any more
NOTED_EVERY = 1.0  # seconds between two states of the manifest


class Copying:
    """Copies one data set.

    Args:
        plan: what is to be here.
        directory: where.
        earlier: manifest of an earlier attempt or copy.
        patience: how long to go on when the source fails.
    """

    def __init__(
        self, plan: Plan, directory: Path, earlier: DownloadManifest | None, patience: Patience
    ) -> None:
        self.plan, self.directory, self.patience = plan, directory, patience
        known = earlier if earlier is not None and earlier.mode == "copy" else None
        self.entries = dict(known.files) if known else {}
        self.readable = known is not None and known.published == plan.published
        self.subset = known.subset if known and self.readable else plan.subset
        self.cancel, self._lock, self._noted = threading.Event(), threading.Lock(), 0.0
        self.errors: list[VlaError] = []
        self.repaired = 0

    def run(self, jobs: int, on_progress: OnProgress) -> int:
        """Copy what is missing, verify, and make the directory a data set; the number of faults overcome.

        Raises:
            VlaError: files could not be had or are not whole; the message names the first.
            KeyboardInterrupt: passed on; what is here is kept.
        """
        if not self.readable:
            remove_facts(self.directory)
        self._save("incomplete")
        sizes = {o.name: o.size for o in self.plan.objects}
        meter = Meter(self.plan.name, sizes, _sizes_here(self.plan, self.directory), on_progress)
        try:
            run_jobs(lambda obj: self._bring(obj, meter), self.plan.objects, jobs, self.cancel)
            if not self.errors:
                self._finish()
        except DataError as error:
            self.errors.append(error)
        finally:
            if self.errors:
                self._save("failed", str(self.errors[0]))
            elif self.cancel.is_set():
                self._save("incomplete")
        if self.errors:
            raise self._failure()
        meter.report()
        return self.repaired

    def _finish(self) -> None:
        """What is here is all there is to be: say so, once it was looked at as a whole."""
        write_facts(self.plan, self.directory)
        try:
            check_layout(self.directory)
        except DataError:
            remove_facts(self.directory)
            raise
        self.subset = self.plan.subset
        self.entries = {o.name: self.entries[o.name] for o in self.plan.objects}
        self._save("verified")

    def _bring(self, obj: RemoteObject, meter: Meter) -> None:
        """One file: as it is, if it is right, else from the source. Errors are kept for the end."""
        try:
            target = inside(self.directory, obj.name, self.directory)
            if not self._is_here(target, obj):
                self._fetch(target, obj, lambda have: meter.update(obj.name, have))
            meter.update(obj.name, obj.size)
            self._note()
        except VlaError as error:
            with self._lock:
                self.errors.append(error)
                if isinstance(error, DiskSpaceError) or len(self.errors) >= FAILURES:
                    self.cancel.set()

    def _is_here(self, target: Path, obj: RemoteObject) -> bool:
        """Whether the file is the listed object: by the manifest if its time fits, else by its content."""
        if not target.is_file() or target.is_symlink() or target.stat().st_size != obj.size:
            return False
        entry = self.entries.get(obj.name)
        known = entry if entry is not None and entry.listed == obj else FileEntry(obj)
        if known.mtime_ns == target.stat().st_mtime_ns:
            return True
        expected = replace(obj, crc32c=obj.crc32c or known.crc32c)
        if not (expected.crc32c or expected.md5):
            return False
        digests = digest_file(target, self._require_wanted)
        try:
            digests.require(expected)
            self._checker(obj)(target)
        except DataError:
            return False
        self._keep(target, obj, digests.crc32c)
        return True

    def _fetch(self, target: Path, obj: RemoteObject, on_bytes: Callable[[int], None]) -> None:
        transfer = Transfer(
            self.plan.source, target, self.patience, self._checker(obj), self.cancel, on_bytes
        )
        fetched = transfer.run(obj)
        self._keep(target, fetched.obj, fetched.crc32c)
        with self._lock:
            self.repaired += fetched.repaired

    def _checker(self, obj: RemoteObject) -> Callable[[Path], None]:
        """What a shard must stand: the count of its records and the checksum of each."""
        records = self.plan.records.get(obj.name)

        def check(path: Path) -> None:
            if not records:
                return
            for _ in open_shard(path, records):
                self._require_wanted()

        return check

    def _keep(self, target: Path, obj: RemoteObject, crc32c: str) -> None:
        with self._lock:
            self.entries[obj.name] = FileEntry(obj, crc32c, target.stat().st_mtime_ns)

    def _note(self) -> None:
        """Write the manifest down, now and then: what it does not know is read again to resume."""
        with self._lock:
            if time.monotonic() - self._noted < NOTED_EVERY:
                return
            self._noted = time.monotonic()
            self._save("incomplete")

    def _save(self, state: str, reason: str = "") -> None:
        plan = self.plan
        DownloadManifest(
            plan.name,
            plan.version,
            plan.source.address,
            "copy",
            state,  # type: ignore[arg-type]
            reason,
            dict(self.entries),
            self.subset,
            plan.published,
        ).save(self.directory)

    def _failure(self) -> VlaError:
        first, count = self.errors[0], len(self.errors)
        if count > 1:
            first.message += f" (and {count - 1} more files failed)"
        return first

    def _require_wanted(self) -> None:
        if self.cancel.is_set():
            raise CancelledError


def bytes_here(plan: Plan, directory: Path) -> int:
    """How much of a plan is on disk already, as whole files or the beginning of some."""
    return sum(_sizes_here(plan, directory).values())


def _sizes_here(plan: Plan, directory: Path) -> dict[str, int]:
    here = {}
    for obj in plan.objects:
        target = directory / obj.name
        paths = (target, part_path(target, obj))
        here[obj.name] = next((min(p.stat().st_size, obj.size) for p in paths if p.is_file()), 0)
    return here
