"""A person at a terminal who drives a robot by keys."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vla_data.errors import ConfigError

if TYPE_CHECKING:
    from vla_data.robots.by_hand import Word

# Enter; backspace; Escape, Ctrl-C, Ctrl-D
WORDS: tuple[tuple[str, Word], ...] = (
    ("\r\n", "success"),
    ("\x7f\x08", "discard"),
    ("\x1b\x03\x04", "stop"),
)


class Terminal:
    """Keys as they are pressed, while entered; a `Person`.

    Enter ends an episode as a success, backspace throws it away, Escape ends the session; all other keys are
    for whatever moves the robot (`typed`).

    Raises:
        ConfigError: standard input is no terminal.
    """

    def __init__(self) -> None:
        self._typed = ""
        self._words: list[Word] = []

    def __enter__(self) -> Self:
        if not sys.stdin.isatty():
            raise ConfigError(
                "nobody can drive by keys here",
                where="standard input",
                expected="a terminal",
                got="a pipe or file",
            )
        self._before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def ready(self, instruction: str) -> bool:
        """Whether the person begins with the next episode."""
        self._typed, self._words = "", []
        self.tell(f"\nnext: {instruction}. Enter: begin, Escape: stop here")
        while True:
            self._read(0.1)
            if self._words:
                first, self._words, self._typed = self._words[0], [], ""
                if first != "discard":
                    self.tell("go; Enter: done, backspace: throw away, Escape: stop here")
                    return first == "success"

    def word(self) -> Word | None:
        """What the person says of the episode, if anything."""
        self._read(0.0)
        return self._words.pop(0) if self._words else None

    def typed(self) -> str:
        """Other keys since it was last asked."""
        self._read(0.0)
        found, self._typed = self._typed, ""
        return found

    def tell(self, text: str) -> None:
        """A line to the person; standard output stays the command's own."""
        print(text, file=sys.stderr, flush=True)

    def _read(self, seconds: float) -> None:
        while select.select([sys.stdin], [], [], seconds)[0]:
            data = os.read(sys.stdin.fileno(), 1024)  # past Python's buffer, in which keys would lie unseen
            for key in data.decode(errors="ignore") if data else "\x04":
                said: Word | None = next((word for keys, word in WORDS if key in keys), None)
                if said is None:
                    self._typed += key
                else:
                    self._words.append(said)
            if not data:
                return
            seconds = 0.0
