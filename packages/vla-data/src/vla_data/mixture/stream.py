"""Going through a mixture, with a state that says where one is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from vla_data.errors import CheckpointError, ConfigError
from vla_data.mixture.prefetch import iterate

T = TypeVar("T", covariant=True)
FORMAT = 1


@runtime_checkable
class Numbered(Protocol[T]):
    """An endless numbered stream with an identity: a `Mixture` or its `MixtureBatches`."""

    @property
    def digest(self) -> str: ...
    def __getitem__(self, index: int, /) -> T: ...


class MixtureStream(Generic[T]):
    """The items of one rank, in order, from where the state says.

    The state is one number, so a stream can be resumed at any item, with another number of workers, and,
    when all ranks had taken equally many items, with another number of ranks: item n is the same in any
    case. Items made ahead and not yet handed out do not count.

    Args:
        source: a `Mixture` (items are samples) or `MixtureBatches` (items are batches).
        rank, ranks: this process takes every `ranks`-th item.
        workers: processes that make items ahead; 0 makes them here.
        ahead: finished items that may wait in each worker.
        stop: end before this item; None for no end.
    """

    def __init__(
        self,
        source: Numbered[T],
        *,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        ahead: int = 4,
        stop: int | None = None,
    ) -> None:
        if not 0 <= rank < ranks:
            raise ConfigError("no such rank", expected="0 ≤ rank < ranks", got=f"{rank} of {ranks}")
        self.source, self.rank, self.ranks = source, rank, ranks
        self.workers, self.ahead, self.stop = workers, ahead, stop
        self._position = 0  # items that all ranks have taken together

    def __iter__(self) -> Iterator[T]:
        end = self.stop if self.stop is not None else 2**62
        first = self._position + (self.rank - self._position) % self.ranks
        items = iterate(self.source, range(first, end, self.ranks), workers=self.workers, ahead=self.ahead)
        for item in items:
            self._position += self.ranks
            yield item

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: plain values."""
        return {"format": FORMAT, "stream": self.source.digest, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where `state` was taken; the next iteration begins there.

        Raises:
            CheckpointError: the state is of another mixture, or is no such state.
        """
        position = state.get("position")
        if state.get("format") != FORMAT or not isinstance(position, int) or position < 0:
            raise CheckpointError("a mixture's state cannot be read", got=str(dict(state))[:200])
        if state.get("stream") != self.source.digest:
            raise CheckpointError(
                "the state belongs to another mixture, so it would not go on where it stopped",
                expected=f"stream {self.source.digest[:12]}",
                got=f"stream {str(state.get('stream'))[:12]}",
                next_step="use the data, weights, seed and window of the run that wrote the state",
            )
        self._position = position
