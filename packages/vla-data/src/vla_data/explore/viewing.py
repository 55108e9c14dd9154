"""One episode of a data set as files a person can look at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vla_data.formats import open_episodes
from vla_data.usable import episode_at


def view_episode(
    uri: str | Path,
    episode: int = 0,
    split: str = "train",
    *,
    recording: Path | None = None,
    sheet: Path | None = None,
    columns: int = 8,
) -> dict[str, str | int | Sequence[str]]:
    """Write an episode as a Rerun recording, as a contact sheet, or both; what was written.

    Args:
        recording: .rrd file to write.
        sheet: .png file to write, `columns` frames of each camera side by side.

    Raises:
        UnknownNameError, DataError: as `vla_data.open_episodes`; a frame cannot be decoded.
        ConfigError: there is no such episode.
        MissingDependencyError: a recording is wanted and rerun-sdk is not installed.
    """
    reader = open_episodes(uri, split)
    chosen = episode_at(reader, episode)
    files = []
    if recording is not None:
        from vla_data.explore.rerun_file import write_recording

        write_recording(chosen, recording, reader.name)
        files.append(str(recording))
    if sheet is not None:
        from vla_data.explore.contact_sheet import write_sheet

        write_sheet(chosen, sheet, columns, f"{reader.name}, {split} {episode}: {chosen.id}")
        files.append(str(sheet))
    told = {"dataset": reader.name, "split": split, "episode": episode, "id": chosen.id}
    return told | {"steps": len(chosen), "instruction": chosen.instruction, "files": files}


def open_viewer(recording: Path) -> None:
    """Open a recording in Rerun's window, which stays when this process ends."""
    command = [sys.executable, "-m", "rerun", str(recording)]
    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
