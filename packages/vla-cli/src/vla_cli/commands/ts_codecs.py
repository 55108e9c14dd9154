"""`vla ts fit | encode | decode | inspect`: any codec, fitted and used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vla_cli import options as o
from vla_cli import stages
from vla_cli.output import emit, hint, print_pairs, print_sections, stdout
from vla_cli.parser import example
from vla_cli.progress import progress

if TYPE_CHECKING:
    from vla_data.protocols import ActionCodec
    from vla_ts.exchange import Piece

Series = Annotated[Literal["action", "state"], typer.Option("--series", help="Which series of the episodes.")]
Hz = Annotated[
    float | None,
    typer.Option("--hz", metavar="RATE", help="Bring series to this rate; default: keep theirs."),
]
SkipCorrupt = Annotated[
    bool, typer.Option("--skip-corrupt", help="Leave out and count episodes that cannot be used.")
]
CodecDirectory = Annotated[
    Path, typer.Argument(metavar="CODEC", help="Directory of a codec, or of the run that fitted it.")
]
Embodiment = Annotated[
    str | None,
    typer.Option("--embodiment", metavar="NAME", help="Of a codec of several robots: which; default: first."),
]
OutFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write here, as its ending says; default: standard output."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `vla ts`."""
    app.command("fit", epilog=example("vla ts fit --codec dct_bpe --data runs/reach --out runs/fast"))(fit)
    app.command("encode", epilog=example("vla ts encode runs/fast actions.npy --out codes.jsonl"))(encode)
    app.command("decode", epilog=example("vla ts decode runs/fast codes.jsonl --join --out back.csv"))(decode)
    app.command("inspect", epilog=example("vla ts inspect runs/fast"))(inspect)


def fit(
    codec: Annotated[
        str, typer.Option("--codec", metavar="NAME", help="Kind of codec; a wrong name lists all.")
    ],
    data: o.Data,
    out: o.Out,
    split: o.Split = "train",
    horizon: Annotated[
        int | None, typer.Option("--horizon", metavar="N", min=1, help="Steps in a chunk; default: 16.")
    ] = None,
    series: Series = "action",
    hz: Hz = None,
    seed: o.Seed = None,
    skip_corrupt: SkipCorrupt = False,
    config: o.ConfigFile = None,
    set_: o.Overrides = None,
    as_json: o.AsJson = False,
) -> None:
    """Fit a codec of any kind to a data set and measure it on held-out episodes."""
    from vla_data import open_episodes
    from vla_ts.fit_run import fit_and_measure, presets

    given = {"action_horizon": horizon, "series": series, "hz": hz, "seed": seed}
    chosen = o.make_config(presets(codec), "default", config, set_, **given)
    data = o.locate(data)
    source = open_episodes(data, split)
    stages.run(
        "fit-codec",
        out,
        stages.with_source(chosen, data, split),
        stages.input_stages(data),
        lambda on: fit_and_measure(source, chosen, out, skip_corrupt=skip_corrupt, on_progress=on),
        as_json,
    )


def encode(
    codec: CodecDirectory,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Series or chunks in a .npy, .npz, .csv or .jsonl file, a data set, or - (stdin).",
        ),
    ],
    out: OutFile = None,
    layout: Annotated[
        Literal["jsonl", "npy"] | None, typer.Option("--format", help="Of the codes; default: jsonl.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", metavar="N", min=1, help="Steps between chunks; default: side by side."),
    ] = None,
    split: o.Split = "train",
    series: Series = "action",
    hz: Hz = None,
    skip_corrupt: SkipCorrupt = False,
    embodiment: Embodiment = None,
    as_json: o.AsJson = False,
) -> None:
    """Turn series, chunks or the episodes of a data set into codes."""
    from vla_ts.codecs import load_codec_of
    from vla_ts.exchange import cut, encode_pieces

    known = load_codec_of(codec, embodiment)
    options = {"split": split, "series": series, "hz": hz, "skip_corrupt": skip_corrupt}
    pieces = encode_pieces(known, cut(_series(source, known, options), known.action_horizon, stride))
    _give(pieces, "codes", out, _layout(layout, out, ("jsonl", "npy")), known, as_json)


def decode(
    codec: CodecDirectory,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Codes in a .jsonl or .npy file, or - (stdin).")
    ],
    out: OutFile = None,
    layout: Annotated[
        Literal["jsonl", "npy", "csv"] | None,
        typer.Option("--format", help="Of the series; default: jsonl. csv needs --join."),
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Put chunks together to whole series again.")] = False,
    embodiment: Embodiment = None,
    as_json: o.AsJson = False,
) -> None:
    """Turn codes back into chunks or series."""
    from vla_ts.codecs import load_codec_of
    from vla_ts.exchange import decode_pieces, pieces_of_series
    from vla_ts.parsing import parse_codes

    known = load_codec_of(codec, embodiment)
    pieces = decode_pieces(known, parse_codes(_content(source), source))
    if join:
        pieces = pieces_of_series(pieces)
    _give(pieces, "actions", out, _layout(layout, out, ("jsonl", "npy", "csv")), known, as_json)


def inspect(codec: CodecDirectory, as_json: o.AsJson = False) -> None:
    """Show what a codec codes, how, and whether its files are whole."""
    from vla_ts.inspection import inspect_codec

    info = inspect_codec(codec)
    emit(info, as_json, lambda to: print_sections(to, info.sections()))


def _content(source: str) -> bytes:
    from vla_data.errors import DataError

    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise DataError("a file cannot be read", where=source, got=error.strerror) from error


def _series(source: str, codec: ActionCodec, options: dict[str, Any]) -> list[tuple[str, Any]]:
    """Named series of a stream, a file or a data set; a data set has to mean what the codec was fitted to."""
    from vla_ts.parsing import parse
    from vla_ts.trajectories import read_series

    if source == "-" or Path(source).is_file():
        return parse(_content(source), source, tuple(d.name for d in codec.spec.dims))
    from vla_data import open_episodes
    from vla_ts.resample import respec
    from vla_ts.trajectories import series_spec

    located, series, hz = o.locate(source), options["series"], options["hz"]
    episodes = open_episodes(located, options["split"])
    spec = series_spec(episodes, series)
    codec.spec.require_same(spec if hz is None else respec(spec, hz), located)
    skipped: list[Any] = []
    with progress() as on:
        read = read_series(
            episodes, series, hz, skip_corrupt=options["skip_corrupt"], skipped=skipped, on_progress=on
        )
        found = [(name, values) for _, name, values in read]
    if skipped:
        hint(f"{len(skipped)} of {len(episodes)} episodes were left out")
    return found


def _layout(given: str | None, out: Path | None, known: tuple[str, ...]) -> str:
    from vla_data.errors import ConfigError

    layout = given or (out.suffix.lstrip(".") if out else known[0])
    if layout not in known:
        raise ConfigError(
            "a file of another kind is asked for",
            where=f"--out {out}",
            expected=", ".join(f".{k}" for k in known),
            got=f".{layout}",
        )
    return layout


def _give(
    pieces: list[Piece],
    key: Literal["codes", "actions"],
    out: Path | None,
    layout: str,
    codec: ActionCodec,
    as_json: bool,
) -> None:
    """Write pieces to a file and say so, or to standard output; with --json one document."""
    from vla_data.files import write_bytes
    from vla_ts.exchange import lines_of, to_bytes

    if out is None and as_json:
        emit({"chunks": list(lines_of(pieces, key))}, True, lambda _: None)
    elif out is None:
        stream = stdout()
        stream.flush()
        stream.buffer.write(to_bytes(pieces, key, layout, codec.spec))  # type: ignore[attr-defined]
        stream.buffer.flush()  # type: ignore[attr-defined]
    else:
        write_bytes(out, to_bytes(pieces, key, layout, codec.spec))
        told = {"file": str(out), "pieces": len(pieces), "codec": str(type(codec).__name__)}
        if key == "codes":
            told["codes"] = sum(len(p.values) for p in pieces)
        emit(told, as_json, lambda to: print_pairs(to, told))
