"""The sub-steps of an episode as a list to tick off, in Markdown."""

from __future__ import annotations

import re

from vla_data.types import Episode


def checklist(episode: Episode) -> str:
    """A heading, and a ticked box for each sub-step that was carried out, with its time in seconds.

    An episode known to have failed ends in a box that is not ticked.
    """
    lines = [
        f"## {_plain(episode.instruction) or 'no instruction'}",
        "",
        f"`{episode.id}`, {len(episode)} steps",
        "",
    ]
    for step in episode.substeps:
        lines.append(
            f"- [x] {_seconds(episode, step.start)}–{_seconds(episode, step.stop)} s: {_plain(step.text)}"
        )
    if not episode.substeps:
        lines.append("- [ ] no sub-step known")
    if episode.metadata.get("success") is False:
        lines.append("- [ ] task done")
    return "\n".join(lines) + "\n"


def _seconds(episode: Episode, index: int) -> str:
    """When a step begins; past the last one, when that ends."""
    time = episode.time
    if index < len(time):
        return f"{float(time[index]):.2f}"
    return f"{float(time[-1]) + 1 / episode.robot.action.control_hz:.2f}"


def _plain(text: str) -> str:
    """One line, with what Markdown would take for marks made plain."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", " ".join(text.split()))
