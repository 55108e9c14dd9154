"""Labels from an outside program, so that a vision-language model can be plugged in without a dependency.

The program is started once and spoken to in JSON lines, one answer to one question:

    → {"id", "instruction", "steps", "control_hz", "time", "action", "action_dims", "state", "state_dims",
       "images": {camera: [{"step", "jpeg"}, …]}}            (jpeg in base64)
    ← {"substeps": [{"start", "stop", "text"}, …]}    or     {"error": "why not"}

What it answers is checked like anything else from outside.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import subprocess
import time
from typing import Any

import numpy as np

from vla_data.errors import ConfigError, VlaError
from vla_data.images import encode
from vla_data.label.labellers import CommandConfig
from vla_data.types import Episode, SubStep

ANSWER_LIMIT = 1 << 20  # bytes
CHUNK = 1 << 16


class ProviderError(VlaError):
    """An outside labeller could not be started, took too long, or answered what cannot be used."""


class CommandLabeller:
    """A `SubstepLabeller` that asks a program; started at the first question, ended by `close`.

    Args:
        config: which program, what it is shown, how long it may take.

    Raises:
        ConfigError: no program is named.
    """

    def __init__(self, config: CommandConfig) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self.config = config
        if not config.argv or config.frames < 0 or config.timeout <= 0:
            raise ConfigError(
                "the outside labeller cannot be asked",
                where="LabelConfig.command",
                expected="argv with a program, frames of at least 0, a timeout above 0",
                got=str(config),
                next_step="""name it: --set 'command.argv=["python", "my_labeller.py"]'""",
            )

    @property
    def needs_images(self) -> bool:
        return self.config.frames > 0

    def label(self, episode: Episode) -> tuple[SubStep, ...]:
        """Ask for one episode.

        Raises:
            ProviderError: see there; the program is ended and started anew for the next question.
        """
        where = f"{self.config.argv[0]}, episode {episode.id}"
        try:
            answer = self._ask(question(episode, self.config.frames), where)
            return checked_answer(answer, len(episode), where)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the program."""
        process, self._process, self._rest = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_process": None, "_rest": b""}

    def __del__(self) -> None:
        self.close()

    def _ask(self, asked: dict[str, Any], where: str) -> Any:
        line = json.dumps(asked, allow_nan=False).encode() + b"\n"
        deadline = time.monotonic() + self.config.timeout
        process = self._started(where)
        try:
            answer = self._exchange(process, line, deadline)
        except TimeoutError:
            raise ProviderError(
                "an outside labeller took too long",
                where=where,
                expected=f"an answer in {self.config.timeout:g} s",
                next_step="give it longer: --set command.timeout=SECONDS",
            ) from None
        except (OSError, EOFError) as error:
            raise ProviderError(
                "an outside labeller stopped without an answer",
                where=where,
                expected="one JSON line for each it reads",
                got=f"exit code {_exit_code(process)}; {error}",
                next_step="run it by hand; what it wrote to standard error is above",
            ) from error
        return _parsed(answer, where)

    def _started(self, where: str) -> subprocess.Popen[bytes]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self.config.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            except OSError as error:
                raise ProviderError(
                    "an outside labeller cannot be started", where=where, got=str(error),
                    next_step="check command.argv",
                ) from error  # fmt: skip
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes, deadline: float) -> bytes:
        """Write the question while reading, so that neither side waits for the other's pipe to empty."""
        assert process.stdin is not None
        assert process.stdout is not None
        left = memoryview(line)
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(process.stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._rest:
                events = ready.select(max(0.0, deadline - time.monotonic()))
                if not events:
                    raise TimeoutError
                for key, _ in events:
                    if key.fileobj is process.stdin:
                        left = left[os.write(process.stdin.fileno(), left[:CHUNK]) :]
                        if not left:
                            ready.unregister(process.stdin)
                    else:
                        self._read(process.stdout.fileno())
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer

    def _read(self, descriptor: int) -> None:
        chunk = os.read(descriptor, CHUNK)
        if not chunk:
            raise EOFError("its output ended")
        self._rest += chunk
        if len(self._rest) > ANSWER_LIMIT:
            raise EOFError(f"more than {ANSWER_LIMIT} bytes without an end of line")


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Of a program whose output ended; None when it lives on all the same."""
    try:
        return process.wait(1.0)
    except subprocess.TimeoutExpired:
        return None


def question(episode: Episode, frames: int = 0) -> dict[str, Any]:
    """What a program is told of an episode."""
    steps = np.unique(np.linspace(0, len(episode) - 1, frames).round().astype(int)) if frames else []
    pictures = {
        name: [
            {"step": int(i), "jpeg": base64.b64encode(encode(images[int(i)], "jpeg")).decode()} for i in steps
        ]
        for name, images in episode.images.items()
    }
    spec = episode.robot
    return {
        "id": episode.id,
        "instruction": episode.instruction,
        "steps": len(episode),
        "control_hz": spec.action.control_hz,
        "time": episode.time.tolist(),
        "action": episode.action.tolist(),
        "action_dims": [d.name for d in spec.action.dims],
        "state": episode.state.tolist(),
        "state_dims": [d.name for d in spec.state],
        "images": pictures if frames else {},
    }


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ProviderError(
            "an outside labeller answered something else than JSON", where=where, expected="one JSON line",
            got=f"{line[:80]!r}",
        ) from error  # fmt: skip


def checked_answer(answer: Any, steps: int, where: str) -> tuple[SubStep, ...]:
    """The sub-steps in an answer.

    Raises:
        ProviderError: it says it failed, or it is not sub-steps in order, within the episode, with a text.
    """
    if isinstance(answer, dict) and "error" in answer:
        raise ProviderError("an outside labeller failed", where=where, got=str(answer["error"])[:400])
    found = answer.get("substeps") if isinstance(answer, dict) else None
    made: list[SubStep] = []
    for item in found if isinstance(found, list) else [answer]:
        step = _substep(item)
        earliest = made[-1].stop if made else 0
        if step is None or not earliest <= step.start < step.stop <= steps:
            raise ProviderError(
                "an outside labeller gave sub-steps that cannot be",
                where=where,
                expected=f'{{"substeps": [{{"start", "stop", "text"}}, …]}} in order within {steps} steps',
                got=str(item)[:200],
            )
        made.append(step)
    return tuple(made)


def _substep(item: Any) -> SubStep | None:
    """An answered sub-step; None when it is none."""
    if not isinstance(item, dict):
        return None
    start, stop, text = (item.get(key) for key in ("start", "stop", "text"))
    if type(start) is int and type(stop) is int and isinstance(text, str) and text.strip():
        return SubStep(start, stop, text.strip())
    return None
