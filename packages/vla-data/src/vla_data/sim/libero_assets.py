"""LIBERO's meshes and textures, which its wheel comes without: found again, or fetched once.

They are fetched from the repository that LIBERO itself names, by the library of that hub (which goes on where
an interrupted fetch stopped), and every file is held against the hub's checksum before any is used. Nothing
is ever asked on the terminal.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from vla_data.errors import DataError, MissingDependencyError
from vla_data.files import cache_directory, read_json, write_json
from vla_data.protocols import OnProgress, Progress, no_progress

REPOSITORY = "jadechoghari/libero-assets"
NOTE = "libero-assets.json"
FOLDERS = (
    "articulated_objects",
    "scenes",
    "stable_hope_objects",
    "stable_scanned_objects",
    "textures",
    "turbosquid_objects",
)
ELSEWHERE = "vla sim setup libero --assets DIR, with a copy of LIBERO's libero/libero/assets"


def remembered() -> Path | None:
    """The folder that was set up; None before."""
    note = cache_directory() / NOTE
    return Path(read_json(note)["assets"]) if note.is_file() else None


def setup_libero(
    assets: Path | None = None,
    *,
    revision: str = "main",
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Remember a local copy, or fetch one; where it is, and how many files of it were checked.

    Args:
        assets: a folder that is there; None fetches.
        revision: of the repository.

    Raises:
        DataError: the folder is not whole, the hub cannot be reached, or a file is not as published.
        MissingDependencyError: the hub's library is not installed.
    """
    if assets is not None:
        folder, checked = _require_whole(assets.expanduser().absolute()), 0
    else:
        folder, checked = _fetch(cache_directory() / "libero-assets", revision, on_progress)
        _require_whole(folder)
    write_json(cache_directory() / NOTE, {"assets": str(folder)})
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return {"assets": str(folder), "files_checked": checked, "megabytes": round(size / 1e6, 1)}


def _require_whole(folder: Path) -> Path:
    missing = [name for name in FOLDERS if not (folder / name).is_dir()]
    if missing:
        raise DataError(
            "this is not LIBERO's folder of assets",
            where=str(folder),
            expected=f"the folders {', '.join(FOLDERS)}",
            got=f"no {', '.join(missing)}",
            next_step=ELSEWHERE,
        )
    return folder


def _fetch(folder: Path, revision: str, on_progress: OnProgress) -> tuple[Path, int]:
    """The repository's files, checked."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars
    except ImportError as error:
        raise MissingDependencyError(
            "assets are fetched with huggingface_hub", got=str(error), next_step="install vla-data[libero]"
        ) from error
    endpoint = os.environ.get("HF_ENDPOINT") or None
    api = HfApi(endpoint=endpoint, token=False)
    disable_progress_bars()
    on_progress(Progress("fetch assets", 0, None, "files", message=REPOSITORY))
    try:
        commit = api.model_info(REPOSITORY, revision=revision).sha
        api.snapshot_download(REPOSITORY, revision=commit, local_dir=folder)
        found = api.verify_repo_checksums(REPOSITORY, revision=commit, local_dir=folder)
    except Exception as error:  # the hub's library raises those of whichever library it asks through
        raise DataError(
            "LIBERO's assets cannot be fetched",
            where=f"{endpoint or 'the hub'}, {REPOSITORY}",
            got=str(error).partition("\n")[0],
            next_step=f"run the command again, which goes on where it stopped; or: {ELSEWHERE}",
        ) from error
    wrong = [m["path"] for m in found.mismatches] + list(found.missing_paths)
    if wrong:
        for path in wrong:
            (folder / path).unlink(missing_ok=True)  # so that the next attempt fetches it anew
        raise DataError(
            "files did not arrive as they were published",
            where=str(folder),
            expected="the checksums of the repository",
            got=f"{len(wrong)} others, {wrong[0]} for one",
            next_step="run the command again: they are fetched anew",
        )
    on_progress(Progress("fetch assets", found.checked_count, found.checked_count, "files"))
    return folder, found.checked_count
