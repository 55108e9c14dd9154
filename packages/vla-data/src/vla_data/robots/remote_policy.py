"""A policy that thinks elsewhere, behind a websocket: `vla serve policy`, or a server of openpi's.

It is a `Policy` like any other. What it takes and answers is told by the server (ours) or by a named
convention (others'), and compared with the robot before the first step by whoever runs it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from vla_data.config import from_dict
from vla_data.errors import ConfigError, VlaError
from vla_data.robots.conventions import ACTIONS, CONVENTIONS, Convention, find_convention
from vla_data.robots.messages import PROTOCOL, mapping, numbers, tell_window
from vla_data.robots.wire import MOST_BYTES, MessageError, pack, unpack
from vla_data.types import ActionChunk, InputSpec, ObservationWindow

TOKEN = "VLA_TOKEN"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
HINT = "see that the server runs: vla serve policy --help"


class RemotePolicyError(VlaError):
    """A policy elsewhere cannot be reached, does not answer in time, or says that something is wrong."""


class RemotePolicy:
    """A policy behind a websocket. It is connected when made, and again in every process it is sent to.

    Args:
        address: `ws://host:port`; of a server that does not say what it takes, with the name of its
            convention: `ws://host:port?convention=openpi-libero`.
        token: to show; None for that in the environment's VLA_TOKEN, if there is one.
        answer_seconds: the longest that an answer may take.

    Raises:
        RemotePolicyError: nobody answers there, or the token is not taken.
        ConfigError: the server does not say what it takes, and no convention is named.
        MessageError: it says something that cannot be understood.
    """

    def __init__(
        self, address: str, token: str | None = None, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.address, self.answer_seconds = address, answer_seconds
        self._token = token if token is not None else os.environ.get(TOKEN)
        self._socket = self._connected()
        told = self._received()
        self.convention = _convention_of(address, told)
        if self.convention is None:
            self._spec = _spec_of(address, told)
        else:
            self._spec = self.convention.spec(1)
            chunk = self._asked_for(self.convention, self._spec.fake_window())  # also wakes it up
            self._spec = self.convention.spec(len(chunk))

    @property
    def input_spec(self) -> InputSpec:
        return self._spec

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Tell that episodes begin; a server of another convention has no word for it."""
        if self.convention is None:
            self._ask({"do": "reset", "slots": [int(s) for s in slots], "seeds": [int(s) for s in seeds]})

    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """Chunks of finite actions.

        Raises:
            RemotePolicyError: no answer came in time, or the server says what is wrong.
            MessageError: the answer is not what was asked for.
        """
        action = self._spec.robot.action
        if not windows:
            return []
        if self.convention is not None:
            found = [self._asked_for(self.convention, window) for window in windows]
        else:
            answer = self._ask({"do": "infer", "windows": [tell_window(w) for w in windows]})
            shape = (len(windows), self._spec.action_horizon, action.dim)
            found = list(numbers(answer.get("chunks"), f"chunks of {self.address}", shape))
        return [ActionChunk(actions, action) for actions in found]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePolicy, (self.address, self._token, self.answer_seconds)

    def _asked_for(self, convention: Convention, window: ObservationWindow) -> np.ndarray:
        answer = self._ask(convention.tell(window.latest))
        shape = (None, convention.robot.action.dim)
        actions = numbers(answer.get(ACTIONS), f"{ACTIONS} of {self.address}", shape)
        horizon = self._spec.action_horizon
        if not len(actions) or horizon not in (1, len(actions)):
            raise MessageError(
                "a policy changed the length of its chunks",
                where=self.address,
                expected=f"{horizon} actions",
                got=str(len(actions)),
            )
        return actions

    def _connected(self) -> ClientConnection:
        headers = {"Authorization": f"Api-Key {self._token}"} if self._token else None
        try:
            return connect(
                self.address.partition("?")[0],
                additional_headers=headers,
                compression=None,
                max_size=MOST_BYTES,
                open_timeout=CONNECT_SECONDS,
                proxy=None,
            )
        except InvalidStatus as error:
            code = error.response.status_code
            hint = f"set {TOKEN} to the token that the server told" if code in (401, 403) else HINT
            raise RemotePolicyError(
                "a policy server turned us away", where=self.address, got=f"status {code}", next_step=hint
            ) from error
        except (OSError, WebSocketException, ValueError) as error:
            got = str(error) or type(error).__name__
            raise RemotePolicyError(
                "a policy server cannot be reached", where=self.address, got=got, next_step=HINT
            ) from error

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            self._socket.send(pack(message))
        except (OSError, WebSocketException) as error:
            raise self._gone(error) from error
        return self._received()

    def _received(self) -> dict[str, Any]:
        began = time.monotonic()
        try:
            answer = self._socket.recv(timeout=self.answer_seconds)
        except TimeoutError as error:
            self._socket.close()  # what comes later would be taken for the answer to another question
            raise RemotePolicyError(
                "a policy server did not answer in time",
                where=self.address,
                expected=f"an answer within {self.answer_seconds:g} s",
                got=f"none after {time.monotonic() - began:.0f} s",
            ) from error
        except (OSError, WebSocketException) as error:
            raise self._gone(error) from error
        if isinstance(answer, str):
            raise RemotePolicyError(
                "a policy server says that something is wrong", where=self.address, got=answer
            )
        return unpack(answer)

    def _gone(self, error: Exception) -> RemotePolicyError:
        got = str(error) or type(error).__name__
        return RemotePolicyError("a policy server hung up", where=self.address, got=got, next_step=HINT)


def _convention_of(address: str, told: dict[str, Any]) -> Convention | None:
    """The convention that an address names; None where the server says itself what it takes."""
    named = parse_qs(urlsplit(address).query).get("convention")
    if named:
        return find_convention(named[0])
    if "input_spec" in told:
        return None
    raise ConfigError(
        "this policy server does not say what it takes",
        where=address,
        expected=f"an address with a convention: {', '.join(CONVENTIONS)}",
        next_step=f"{address}?convention={next(iter(CONVENTIONS))}",
    )


def _spec_of(address: str, told: dict[str, Any]) -> InputSpec:
    if told.get("protocol") != PROTOCOL:
        raise RemotePolicyError(
            "a policy server speaks another version of the protocol",
            where=address,
            expected=str(PROTOCOL),
            got=repr(told.get("protocol"))[:40],
            next_step="use the same version of vla on both sides",
        )
    try:
        spec = from_dict(InputSpec, mapping(told["input_spec"], "input_spec"), where="input_spec")
    except ConfigError as error:
        raise MessageError(
            "a policy server tells its inputs in another form", where=address, got=str(error)
        ) from error
    return replace(spec, privileged=False)
