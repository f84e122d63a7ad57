"""Work that others came between: it waits, and goes on where it was, within a bound of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

from toolbox.workers.cache import drop_oldest

News = TypeVar("News")
End = TypeVar("End")


@dataclass(eq=False)
class _Begun(Generic[News, End]):
    work: Generator[News | None, None, End]
    held: int = 0
    last: News | None = None


class Unfinished(Generic[News, End]):
    """Generators that are run to their end in several goes; all in one thread.

    Parameters
    ----------
    limit : int
        Bytes that all of them hold together; the one gone on with longest ago goes first, and
        the newest always stays.
    held_for : callable
        Says of news about how many bytes are held by the work that it is from, which holds next
        to nothing before its first news.
    """

    def __init__(self, limit: int, held_for: Callable[[News], int]) -> None:
        self._limit, self._held_for = limit, held_for
        self._begun: OrderedDict[Hashable, _Begun[News, End]] = OrderedDict()

    def go_on(
        self, key: Hashable, begin: Callable[[], Generator[News | None, None, End]]
    ) -> Generator[News | None, None, End]:
        """Go on with a piece of work, or begin it.

        Parameters
        ----------
        key : hashable
            Which.
        begin : callable
            Returns the work, where there is none begun.

        Yields
        ------
        News or None
            Its own, after the last news of the time before. Where no more are asked for, it waits.

        Returns
        -------
        End
            What the work returns.
        """
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = _Begun(begin())
        self._begun.move_to_end(key)
        if begun.last is not None:
            yield begun.last
        while True:
            try:
                news = next(begun.work)
            except StopIteration as ended:
                del self._begun[key]
                end: End = ended.value
                return end
            except BaseException:
                del self._begun[key]
                raise
            if news is not None:
                begun.last, begun.held = news, self._held_for(news)
                drop_oldest(self._begun, self._limit, attrgetter("held"))
            yield news

    @property
    def held(self) -> int:
        """About how many bytes all of them hold."""
        return sum(each.held for each in self._begun.values())
