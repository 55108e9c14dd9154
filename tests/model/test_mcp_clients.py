"""Clients that others wrote: the benchmark of them, short, where they are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp")

ROOT = Path(__file__).resolve().parents[2]


def test_public_clients_drive_a_robot():
    if not (ROOT / "build" / "mcp-clients" / "node_modules").is_dir():
        pytest.skip("the public MCP clients are not installed: scripts/setup-mcp-clients")
    command = [sys.executable, "benchmarks/mcp_clients.py", "--smoke", "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    checks = json.loads(ended.stdout)["checks"]
    assert len(checks) == 5
    assert all(check["ok"] for check in checks), checks
