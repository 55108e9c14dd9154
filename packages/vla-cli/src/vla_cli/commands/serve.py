"""`vla serve`: a policy as a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vla_cli.output import hint
from vla_cli.parser import example, make_group

LOOPBACK = "127.0.0.1"

app = make_group("A policy as a service.")


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
    from vla_model.serving.policy_server import ServeConfig, new_token, read_token, server_of

    token = new_token() if token_file is None else read_token(token_file)
    with server_of(checkpoint, ServeConfig(token, host, port, threads=threads), convention) as server:
        hint(f"serving {checkpoint} at ws://{host}:{server.port}; stop with Ctrl-C")
        if token_file is None:
            hint(f"its clients show this token: export VLA_TOKEN={token}")
        hint(f"try it: vla eval metaworld --policy ws://{host}:{server.port} --out DIR")
        server.serve_forever()
