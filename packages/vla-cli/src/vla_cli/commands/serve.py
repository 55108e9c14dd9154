"""`vla serve`: a policy or a robot as a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vla_cli import options as o
from vla_cli.output import hint
from vla_cli.parser import example, make_group

LOOPBACK = "127.0.0.1"
ROBOT = "sim-metaworld"
ROBOTS = "sim-metaworld, sim-libero, arm, ros2:FILE or lerobot:FILE."
SCOPES = ("read", "move")

app = make_group("A policy or a robot as a service.")


@app.command("policy", epilog=example("vla serve policy runs/policy --port 8000"))
def policy(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="Checkpoint of `vla model finetune`.")],
    host: Annotated[str, typer.Option("--host", help="Interface; 127.0.0.1: this machine alone.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Token that clients show; default: a new one."),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option("--convention", metavar="NAME", help="Names that clients use: openpi-libero."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads of the policy.")] = 1,
) -> None:
    """Let others ask a policy, over a websocket as openpi's client speaks it."""
    from vla_cli.serving import hint_readable
    from vla_model.serving.addresses import in_url, is_loopback
    from vla_model.serving.policy_server import ServeConfig, read_token, server_of
    from vla_model.serving.tokens import new_token

    token = new_token() if token_file is None else read_token(token_file)
    with server_of(checkpoint, ServeConfig(token, host, port, threads=threads), convention) as server:
        address = f"ws://{in_url(host)}:{server.port}"
        hint(f"serving {checkpoint} at {address}; stop with Ctrl-C")
        if not is_loopback(host):
            hint_readable("ws")
        if token_file is None:
            hint(f"its clients show this token: export VLA_TOKEN={token}")
        hint(f"try it: vla eval metaworld --policy {address} --out DIR")
        server.serve_forever()


MovedBy = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="Policy that moves it: of `vla model finetune`."),
]
Demo = Annotated[bool, typer.Option("--demo", help="Moved by the simulator's own scripted expert.")]
RobotName = Annotated[str, typer.Option("--robot", metavar="NAME", help=ROBOTS)]
WhoJudges = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="WHO",
        help="Who says that a sub-task is done: simulator (default, if there is one) or agent.",
    ),
]
PublicHost = Annotated[
    list[str] | None,
    typer.Option(
        "--public-host",
        metavar="NAME[:PORT]",
        help="Names that clients ask for, where others can reach it or a proxy stands before it.",
    ),
]


@app.command("mcp", epilog=example("vla serve mcp --demo"))
def mcp(
    run: MovedBy = None,
    demo: Demo = False,
    robot: RobotName = ROBOT,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--tasks", metavar="A,B", help="Skills: the simulator's tasks or suites."),
    ] = None,
    judge: WhoJudges = None,
    stdio: Annotated[bool, typer.Option("--stdio", help="Talk over standard input and output.")] = False,
    host: Annotated[str, typer.Option("--host", help="Interface; 127.0.0.1: this machine alone.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8010,
    public_host: PublicHost = None,
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="FILE", help="Who may do what; default: two new tokens."),
    ] = None,
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scopes", metavar="A,B", help="Over stdio: read, move, admin; default: read,move."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep episodes and the audit log there.")
    ] = None,
    language: Annotated[
        Path | None, typer.Option("--language", metavar="RUN", help="Language model that `ask` asks.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", metavar="PATH", help="Weights for `describe_scene`.")
    ] = None,
    depth: Annotated[
        str | None, typer.Option("--depth", metavar="PATH", help="Depth weights, to place what is described.")
    ] = None,
) -> None:
    """Let an agent command a robot and read its state, over the Model Context Protocol."""
    from vla_cli.serving import mcp_config, run_mcp
    from vla_model.serving.addresses import Address

    named = o.split_names(tasks)
    extras = {"language": language, "detector": detector, "depth": depth, "port": port}
    address = Address() if stdio else Address(host, o.split_names(public_host) or ())
    chosen = mcp_config(run, robot, named, out, demo=demo, judge=judge, address=address, **extras)
    run_mcp(chosen, stdio=stdio, tokens=tokens, scopes=o.split_names(scopes) or SCOPES)


@app.command("ros2", epilog=example("vla serve ros2 --demo"))
def ros2(
    run: MovedBy = None,
    demo: Demo = False,
    robot: RobotName = ROBOT,
    tasks: Annotated[
        list[str] | None, typer.Option("--tasks", metavar="A,B", help="Skills: the simulator's tasks.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="Names of topics and services, rates, in TOML."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Keep episodes there.")] = None,
) -> None:
    """Let nodes of ROS 2 command a robot, and tell them where it is and what it sees."""
    from vla_cli.serving import run_ros2, station_config

    named = o.split_names(tasks)
    run_ros2(station_config("vla serve ros2", run, robot, named, out, demo=demo), run, mapping)
