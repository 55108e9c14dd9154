"""vla-cli: the command starts, knows its version, and refuses what it does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from _wheel import check_absent, check_wheel, import_all

check_wheel("vla-cli", "help/vla.txt")
check_absent("ultralytics", "tensorflow", "pytest")
import_all("vla_cli")


def vla(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("vla")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


assert vla("--version").stdout.startswith("vla 0.")
assert "quickstart" in vla("--help").stdout
for group in ("data", "ts", "model", "eval", "sim", "vision", "prompt", "serve", "experiment"):
    assert vla(group, "--help").returncode == 0, group
unknown = vla("dta")
assert (unknown.returncode, "data" in unknown.stderr) == (2, True), unknown
