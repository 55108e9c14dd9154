"""An episode as a Rerun recording: cameras, depth, series by name, what was asked for, what happened when.

Notable features:
- frames that are stored as JPEG or PNG go into the file as they are
- one plot a kind of number (positions, rotations, gripper, …), so that small ones are not flattened by large
- two timelines, `step` and `time` in seconds; the layout travels in the file

Rerun: https://rerun.io, written and read without a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import MissingDependencyError
from vla_data.files import atomic_path
from vla_data.images import EncodedImages, encode, sniff
from vla_data.types import Episode, ImageSequence

APPLICATION = "vla"
MILLIMETRES = 1000.0  # a metre, in what depth is stored in
SERIES_WIDTH = 8  # wider series (poses, embeddings) are no plot
COLOURS = (0x6AA8E8FF, 0xF0935AFF, 0x6CC08DFF, 0xC592DDFF, 0xDCBD5BFF, 0xE87A90FF, 0x7FD1D6FF)
LEFT_OUT = ("pose/", "segmentation/", "objects/", "is_first", "is_last", "is_terminal", "discount")


def write_recording(episode: Episode, path: Path, name: str = "") -> None:
    """Write an episode as one .rrd file that opens with `rerun FILE`, atomically.

    Args:
        name: of the data set, shown in the viewer.

    Raises:
        MissingDependencyError: rerun-sdk is not installed.
        DataError: a frame cannot be decoded.
    """
    rr = _rerun()
    title = f"{name} {episode.id}".strip()
    with atomic_path(path) as part, rr.RecordingStream(APPLICATION, recording_id=title) as stream:
        stream.save(part, default_blueprint=_layout(episode))
        stream.send_recording_name(title)
        _log_words(stream, episode)
        _log_frames(stream, episode)
        for group in (*plots(episode).values(), *_further(episode).values()):
            _log_lines(stream, episode, group)
        stream.flush()
        stream.disconnect()


def plots(episode: Episode) -> dict[str, dict[str, tuple[str, np.ndarray]]]:
    """Plot → line's path → (its label, its values [T]): action and state, a plot a kind of number."""
    found: dict[str, dict[str, tuple[str, np.ndarray]]] = {}
    for i, values in enumerate(episode.action.T):
        dims = episode.robot.action.dims
        name, unit, kind = (
            (dims[i].name, dims[i].unit, dims[i].quantity) if i < len(dims) else (str(i), "1", "other")
        )
        found.setdefault(f"action: {kind}", {})[f"action/{name}"] = (_label(name, unit), values)
    for i, values in enumerate(episode.state.T):
        dims = episode.robot.state
        name, unit = (dims[i].name, dims[i].unit) if i < len(dims) else (str(i), "1")
        plot = f"state [{unit}]" if unit != "1" else "state: other"
        found.setdefault(plot, {})[f"state/{name}"] = (_label(name, unit), values)
    return found


def _label(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit != "1" else name


def _further(episode: Episode) -> dict[str, dict[str, tuple[str, np.ndarray]]]:
    """Likewise for every other narrow series."""
    lines = {}
    for name, values in episode.series.items():
        flat = np.asarray(values).reshape(len(episode), -1)
        if (
            name.startswith(LEFT_OUT)
            or not 0 < flat.shape[1] <= SERIES_WIDTH
            or flat.dtype.kind not in "biuf"
        ):
            continue
        for i, column in enumerate(flat.T):
            label = f"{name} {i}" if flat.shape[1] > 1 else name
            lines[f"series/{label}"] = (label, column)
    return {"other series": lines} if lines else {}


def _log_words(stream: Any, episode: Episode) -> None:
    import rerun as rr

    robot, told = episode.robot, "\n".join(f"- {k}: {v}" for k, v in sorted(episode.metadata.items()))
    asked = episode.instruction or "(no instruction)"
    text = f"# {asked}\n\n{robot.name}, {robot.action.control_hz:g} Hz, {len(episode)} steps\n\n{told}"
    stream.log("instruction", rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN), static=True)
    texts = list(dict.fromkeys(s.text for s in episode.substeps))
    if texts:
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(texts))]
        stream.log("substeps/state", rr.StateConfiguration(values=texts, colors=colours), static=True)
    for substep in episode.substeps:
        _set_time(stream, episode, min(substep.start, len(episode) - 1))
        stream.log("substeps/log", rr.TextLog(f"[{substep.start}, {substep.stop}) {substep.text}"))
        stream.log("substeps/state", rr.StateChange(state=substep.text))


def _log_frames(stream: Any, episode: Episode) -> None:
    import rerun as rr

    ranges = {name: _depth_range(np.asarray(depth)) for name, depth in episode.depth.items()}
    for step in range(len(episode)):
        _set_time(stream, episode, step)
        for name, frames in episode.images.items():
            stream.log(f"camera/{name}", _picture(frames, step))
        for name, depth in episode.depth.items():
            metres = np.nan_to_num(np.asarray(depth[step]), nan=0.0, posinf=0.0, neginf=0.0)
            millimetres = np.clip(np.round(metres * MILLIMETRES), 0, 65_535).astype(np.uint16)
            picture = rr.DepthImage(millimetres, meter=MILLIMETRES, depth_range=ranges[name])
            stream.log(f"depth/{name}", picture.compress())


def _depth_range(depth: np.ndarray) -> tuple[float, float]:
    """What the colours of a depth picture span, in millimetres: a far background is cut off."""
    known = depth[np.isfinite(depth) & (depth > 0)]
    near, middle, far = np.quantile(known, [0.01, 0.5, 0.99]) if known.size else (0.0, 0.5, 1.0)
    return float(near * MILLIMETRES), float(min(far, 3 * middle) * MILLIMETRES) + 1.0


def _picture(frames: ImageSequence, step: int) -> Any:
    import rerun as rr

    image = frames[step]  # also where it is stored encoded: a damaged one is to raise here
    data = bytes(frames.frames[step]) if isinstance(frames, EncodedImages) else encode(image, "jpeg")
    return rr.EncodedImage(contents=data, media_type=f"image/{sniff(data)}")


def _log_lines(stream: Any, episode: Episode, lines: Mapping[str, tuple[str, np.ndarray]]) -> None:
    import rerun as rr

    when = [
        rr.TimeColumn("step", sequence=np.arange(len(episode))),
        rr.TimeColumn("time", duration=np.asarray(episode.time, np.float64)),
    ]
    for i, (path, (label, values)) in enumerate(lines.items()):
        full, colour = _entity(path), COLOURS[i % len(COLOURS)]
        stream.log(full, rr.SeriesLines(names=label, colors=colour), static=True)
        stream.send_columns(full, when, rr.Scalars.columns(scalars=np.asarray(values, np.float64)))


def _entity(path: str) -> str:
    import rerun as rr

    kind, _, name = path.partition("/")
    return f"{kind}/{rr.escape_entity_path_part(name)}"


def _set_time(stream: Any, episode: Episode, step: int) -> None:
    stream.set_time("step", sequence=step)
    stream.set_time("time", duration=float(episode.time[step]))


def _layout(episode: Episode) -> Any:
    import rerun.blueprint as rrb

    pictures = [rrb.Spatial2DView(origin=f"camera/{n}", name=n) for n in episode.images]
    pictures += [rrb.Spatial2DView(origin=f"depth/{n}", name=f"{n} depth") for n in episode.depth]
    words: list[Any] = [rrb.TextDocumentView(origin="instruction", name="instruction")]
    if episode.substeps:
        words.append(rrb.TextLogView(origin="substeps", name="sub-steps"))
    groups = plots(episode)
    rows: list[Any] = [_plot_row(groups, "action"), _plot_row(groups, "state")]
    rows = [row for row in rows if row is not None]
    further = _plot_row(_further(episode), "other")
    plotted = (
        rrb.Tabs(rrb.Vertical(*rows, name="action and state"), further) if further else rrb.Vertical(*rows)
    )
    upper = (
        rrb.Horizontal(rrb.Grid(*pictures), rrb.Vertical(*words), column_shares=[3, 1])
        if pictures
        else words[0]
    )
    parts, shares = [upper, plotted], [3, 3]
    if episode.substeps:
        parts.insert(1, rrb.StateTimelineView(origin="substeps", name="sub-steps"))
        shares = [5, 1, 5]
    return rrb.Blueprint(
        rrb.Vertical(*parts, row_shares=shares),
        rrb.TimePanel(timeline="time", state="collapsed"),
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
    )


def _plot_row(groups: Mapping[str, Mapping[str, Any]], prefix: str) -> Any:
    import rerun.blueprint as rrb

    views = []
    for title, lines in groups.items():
        if title.startswith(prefix):
            axis = rrb.ScalarAxis(range=_span([values for _, values in lines.values()]))
            contents = [f"+ /{_entity(path)}" for path in lines]
            views.append(rrb.TimeSeriesView(origin="/", contents=contents, name=title, axis_y=axis))
    return rrb.Horizontal(*views, name=prefix) if views else None


def _span(lines: Sequence[np.ndarray]) -> tuple[float, float]:
    """The range of a plot: all of it, and some room."""
    values = np.concatenate([np.asarray(v, np.float64) for v in lines])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    room = 0.08 * (high - low) or max(0.1 * abs(high), 0.01)
    return low - room, high + room


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise MissingDependencyError(
            "a recording of an episode needs rerun-sdk",
            expected="the package rerun-sdk",
            got=str(error),
            next_step="pip install 'vla-data[explore]', or write a contact sheet with: --sheet FILE",
        ) from error
    return rerun
