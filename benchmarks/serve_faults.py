"""What a robot does when those who command it are killed, frozen, hostile, or too many.

Every campaign counts at the motors: a flight recorder between safety kernel and driver. Limits stand beside
each figure; a count of 0 is the goal of everything that must not happen.

- a client is killed (SIGKILL) while it moves an arm: over HTTP in both eras of MCP, and over stdio
- the policy's process is frozen (SIGSTOP, then let go on) or killed while it moves the arm
- stop while 50 clients ask without pause, and whatever they command before it is taken back
- commands of every wrong kind, straight to the robot's own door
- observations that are stale, from the future, or older than the one before
- two controllers that both want the arm

    .venv/bin/python benchmarks/serve_faults.py [--smoke] [--json]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from _frame import Check, run
from _hostile import fuzzed, times_of, two_controllers
from _served import ARM, FAR, TOKENS, Served, served
from _waving import TOKEN
from _waving import served as waving
from vla_data.robots.limits import ACCELERATION
from vla_data.robots.robot_link import RobotLink, RobotProcess
from vla_data.robots.station import StationConfig
from vla_data.robots.tracing import read_trace

KILLS, FREEZES, STOPS, FUZZED, LOOKS = 50, 50, 100, 100_000, 3000
LEASE, TICK = 0.5, 1 / 50
ERAS = {"auto": "newer", "legacy": "older"}
HERE = Path(__file__).parent
CLIENT = """
import anyio, httpx2, json, sys
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
told = json.loads(sys.argv[1])
async def main():
    if "url" in told:
        asking = httpx2.AsyncClient(headers={"Authorization": "Bearer " + told["token"]}, timeout=60)
        server = streamable_http_client(told["url"], http_client=asking)
    else:
        server = StdioServerParameters(command=sys.executable, args=told["args"])
    async with Client(server, mode=told["mode"]) as client:
        print("ready", flush=True)
        await client.call_tool("move_to", told["target"])
anyio.run(main)
"""


def main(smoke: bool) -> list[Check]:
    """All campaigns."""
    small = 2 if smoke else 0
    checks: list[Check] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for mode in ("auto", "legacy"):
            checks += _killed_over_http(mode, small or KILLS, root / f"http-{mode}.jsonl")
        for mode in ("auto", "legacy"):
            checks += _killed_over_stdio(mode, small or KILLS // 2, root / f"stdio-{mode}")
        checks += _policy("frozen", small or FREEZES, root / "frozen.jsonl")
        checks += _policy("killed", small or FREEZES, root / "killed")
        checks += _stop_under_load(small * 2 or STOPS, 8 if smoke else 50, root / "load.jsonl")
    checks += fuzzed(2000 if smoke else FUZZED)
    checks += times_of(200 if smoke else LOOKS)
    checks += two_controllers(1.0 if smoke else 20.0)
    return checks


# ------------------------------------------------------------------ clients


def _client(**told: object) -> subprocess.Popen[str]:

    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, json.dumps(told)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _killed_over_http(mode: str, kills: int, trace: Path) -> list[Check]:
    """Kill clients in the middle of a motion; when the last motion reached the motors."""
    last = []
    with served(replace(ARM, trace=trace)) as robot:
        link = robot.service.link
        rng = np.random.default_rng(0)
        for number in range(kills):
            target = {**FAR, "joint1": 2.5 if number % 2 else -2.5}
            client = _client(url=robot.url, token=TOKENS["agent"], mode=mode, target=target)
            _until(lambda: link.ask("motion")["kernel"]["phase"] == "moving")
            time.sleep(rng.uniform(0.05, 0.8))
            last.append(_after_death(client.pid, link, trace))
            client.wait()
    return _told_of_kills(f"client killed over HTTP, {ERAS[mode]} era", last)


def _killed_over_stdio(mode: str, kills: int, folder: Path) -> list[Check]:
    """The server is the client's child: with its standard input gone it ends, and lets go of the robot."""
    last, rng = [], np.random.default_rng(1)
    for number in range(kills):
        trace = folder / f"{number}.jsonl"
        args = [str(HERE / "_served.py"), "--trace", str(trace)]
        client = _client(args=args, mode=mode, target={**FAR, "joint1": 2.5})
        assert client.stdout is not None
        client.stdout.readline()
        _until(lambda trace=trace: len(_sends(trace)) > 3)
        time.sleep(rng.uniform(0.05, 0.8))
        client.kill()
        killed = time.monotonic()
        client.wait()
        time.sleep(1.2)
        last.append(_commands_after(trace, killed))
    return _told_of_kills(f"client killed over stdio, {ERAS[mode]} era", last)


def _after_death(process: int, link: RobotLink, trace: Path) -> float:
    """Seconds from a client's death to the last motion."""
    os.kill(process, signal.SIGKILL)
    killed = time.monotonic()
    time.sleep(0.9)
    _until(lambda: link.ask("motion")["kernel"]["phase"] == "idle")
    return _commands_after(trace, killed)


def _sends(trace: Path) -> list[dict]:
    return [line for line in read_trace(trace) if line["did"] == "send"] if trace.is_file() else []


def _commands_after(trace: Path, killed: float) -> float:
    """How long after that moment something still reached the motors; 0 where nothing did."""
    times = [line["time"] for line in _sends(trace)]
    return max(0.0, max(times, default=killed) - killed)


def _told_of_kills(name: str, last: list[float]) -> list[Check]:
    late = sum(seconds > LEASE + TICK for seconds in last)
    limit = f"limit {1000 * (LEASE + TICK):.0f} ms"
    return [
        Check(f"{name}: moved on for too long", late, f"of {len(last)}", "0", limit, late == 0),
        Check(f"{name}: longest motion afterwards", 1000 * max(last), "ms", "shown", limit, True),
    ]


# ------------------------------------------------------------------ a policy that is gone


def _policy(deed: str, times: int, trace: Path) -> list[Check]:
    """Freeze or kill the policy's process while it moves the arm."""
    holds, replayed = [], 0
    if deed == "frozen":
        with waving(50.0, 0.05) as (address, process), RobotProcess(_waved(address, trace)) as link:
            for _ in range(times):
                seconds, old = _without_policy(link, trace, process, signal.SIGSTOP)
                holds.append(seconds)
                replayed += old
    else:
        for number in range(times):
            path = trace / f"{number}.jsonl"
            with waving(50.0, 0.05) as (address, process), RobotProcess(_waved(address, path)) as link:
                seconds, old = _without_policy(link, path, process, signal.SIGKILL)
                holds.append(seconds)
                replayed += old
    late = sum(s > LEASE for s in holds)
    name = f"policy {deed}"
    return [
        Check(f"{name}: held too late", late, f"of {times}", "0", "limit 500 ms", late == 0),
        Check(f"{name}: slowest hold", 1000 * max(holds), "ms", "shown", "limit 500 ms", True),
        Check(f"{name}: actions before a fresh answer", replayed, "", "0", "", replayed == 0),
    ]


def _waved(address: str, trace: Path) -> StationConfig:
    return StationConfig("arm", ("wave",), address, TOKEN, steps=10**8, trace=trace)


def _without_policy(link: RobotLink, trace: Path, process: int, deed: signal.Signals) -> tuple[float, int]:
    """Seconds until the arm holds, and actions sent between that and the policy's return."""
    with link.hold("benchmark", lambda: True) as lease:
        link.ask("task", key=lease.key, skill="wave", instruction="wave")
        _until(lambda: link.ask("motion")["motion"]["steps"] > 20)
        time.sleep(np.random.default_rng(process).uniform(0.0, 0.3))
        os.kill(process, deed)
        gone = time.monotonic()
        time.sleep(0.9)
        held = [line["time"] for line in read_trace(trace) if line["did"] == "hold" and line["time"] > gone]
        before = len(_sends(trace))
        time.sleep(0.6)
        old = len(_sends(trace)) - before
        if deed == signal.SIGSTOP:
            os.kill(process, signal.SIGCONT)
            _until(lambda: link.ask("motion")["motion"]["state"] == "moving")
            old += _jumped(trace, before)
        link.ask("cancel", said="enough")
    return (held[0] - gone if held else 9.0), old


def _jumped(trace: Path, before: int) -> int:
    """1 where the arm's first action after the pause is not a small step from where it stood."""
    sends = _sends(trace)
    if len(sends) <= before or before == 0:
        return 0
    step = np.abs(np.array(sends[before]["action"]) - np.array(sends[before - 1]["action"])).max()
    return int(step > ACCELERATION * TICK * TICK + 0.01)


# ------------------------------------------------------------------ a crowd


CROWD = """
import http.client, json, sys, threading, time
port, token, clients = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": sys.argv[4],
  "arguments": json.loads(sys.argv[5]), "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": {"name": "crowd", "version": "1"},
  "io.modelcontextprotocol/clientCapabilities": {}}}})
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json",
  "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call", "Mcp-Name": sys.argv[4]}
counts = {}
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while True:
        try:
            connection.request("POST", "/mcp", body, headers)
            answer = connection.getresponse()
            answer.read()
            counts[answer.status] = counts.get(answer.status, 0) + 1
        except Exception:
            connection.close()
for _ in range(clients):
    threading.Thread(target=ask, daemon=True).start()
sys.stdin.read()
print(json.dumps(counts))
"""


def _stop_under_load(stops: int, clients: int, trace: Path) -> list[Check]:
    """Clients ask and command without pause; a stop comes between, again and again."""
    waits: list[float] = []
    holds: list[float] = []
    accepted = 0
    with served(replace(ARM, trace=trace)) as robot:
        readers = _crowd(robot, clients - clients // 5, "get_state", {})
        movers = _crowd(robot, clients // 5, "move_to", {**FAR, "wait_seconds": 0.5})
        time.sleep(2.0)
        stopper = _stopper(robot)
        for _ in range(stops):
            began = time.monotonic()
            stopper("stop")
            stopped = time.monotonic()
            waits.append(stopped - began)
            time.sleep(0.15)
            accepted += sum(line["time"] > stopped for line in _sends(trace)[-40:])
            holds.append(_first_hold(trace, began) - began)
            stopper("reset_stop")
            time.sleep(0.1)
        moved = len(_sends(trace))
        asked = sum(_counts(crowd) for crowd in (readers, movers))
    p50, p99 = np.quantile(waits, (0.5, 0.99)) * 1000
    held50, held99 = np.quantile(holds, (0.5, 0.99)) * 1000
    told = f"{clients} clients, {asked} calls, {moved} motions between"
    return [
        Check(
            "stop under load: answered, p99",
            p99,
            "ms",
            "<= 100",
            f"p50 {p50:.0f} ms; {told}",
            bool(p99 <= 100),
        ),
        Check(
            "stop under load: held, p99", held99, "ms", "<= 100", f"p50 {held50:.0f} ms", bool(held99 <= 100)
        ),
        Check("stop under load: commands before reset", accepted, "", "0", f"{stops} stops", accepted == 0),
    ]


def _first_hold(trace: Path, since: float) -> float:
    """When the motors were first told to hold after that moment."""
    times = [
        line["time"] for line in read_trace(trace)[-200:] if line["did"] == "hold" and line["time"] > since
    ]
    return min(times, default=since + 9.0)


def _crowd(robot: Served, clients: int, tool: str, arguments: dict) -> subprocess.Popen[str]:

    words = [str(robot.port), TOKENS["agent"], str(clients), tool, json.dumps(arguments)]
    return subprocess.Popen(
        [sys.executable, "-c", CROWD, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _counts(crowd: subprocess.Popen[str]) -> int:

    out, _ = crowd.communicate("", timeout=60)
    return sum(json.loads(out).values())


def _stopper(robot: Served) -> Callable[[str], None]:
    """A client of the older kind of HTTP library, with a connection that stays open."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", robot.port, timeout=30)

    def call(tool: str) -> None:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "stopper", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": tool, "arguments": {}, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = {
            "Authorization": f"Bearer {TOKENS['admin']}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        connection.request("POST", "/mcp", body, headers)
        answer = connection.getresponse()
        told = answer.read()
        assert b'"isError":false' in told.replace(b" ", b""), (answer.status, told[:300])

    return call


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to it"
        time.sleep(0.005)


if __name__ == "__main__":
    run(main, "serve_faults")
