"""The table of benchmarks, filled by a decorator, and the tables they return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True)
class Table:
    """Medians of interleaved runs.

    Attributes
    ----------
    title : str
        What was run, and on what.
    seconds : dict of str to float
        Contender -> median seconds of one run.
    reference : str or None
        The contender that the others' ratios are taken against; None: no ratios.
    limit_ms : float or None
        Milliseconds that no contender should exceed, where there is such a goal.
    notes : list of str
        What a reader has to know, one sentence each.
    """

    title: str
    seconds: dict[str, float]
    reference: str | None = None
    limit_ms: float | None = None
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Lay the table out in columns."""
        width = max(len(name) for name in self.seconds)
        head = f"  {'':{width}}  {'ms':>9}  {'per second':>10}"
        lines = [self.title, head + (f"  speed / {self.reference}" if self.reference else "")]
        for name, seconds in self.seconds.items():
            line = f"  {name:{width}}  {seconds * 1e3:9.2f}  {1 / seconds:10.1f}"
            if self.reference:
                line += f"  {self.seconds[self.reference] / seconds:.2f}"
            lines.append(line)
        if self.limit_ms is not None:
            slow = [n for n, s in self.seconds.items() if s * 1e3 > self.limit_ms]
            verdict = f"missed by {', '.join(slow)}" if slow else "met"
            lines.append(f"  goal of {self.limit_ms:g} ms: {verdict}")
        return "\n".join(lines + [f"  {note}" for note in self.notes])


@dataclass(frozen=True)
class Rates:
    """How many of something a second, here and there.

    Attributes
    ----------
    title : str
        Of the table.
    contenders : (str, str)
        What stands side by side; the ratio is that of the second to the first.
    rows : dict of str to (float, float)
        Of what -> how many a second; NaN where it was not measured.
    """

    title: str
    contenders: tuple[str, ...]
    rows: dict[str, tuple[float, float]]

    def text(self) -> str:
        """Lay the table out in columns."""
        width = max(len(name) for name in self.rows)
        lines = [f"{self.title:{width}}  " + "".join(f"{name:>11}" for name in self.contenders)]
        for name, (one, two) in self.rows.items():
            shown = "".join(
                f"{value:11.1f}" if value == value else f"{'-':>11}" for value in (one, two)
            )
            ratio = f"{two / one:8.1f} x" if one == one else ""
            lines.append(f"{name:{width}}  {shown}{ratio}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Benchmark:
    """A named benchmark: its one-line description and what runs it.

    `run` takes the seconds it may spend on each table. A `long` one runs only when it is asked
    for by name.
    """

    name: str
    about: str
    run: Callable[[float], Sequence[Table | Rates]]
    long: bool = False


def goal(what: str, value: float, limit: float, *, at_least: bool) -> str:
    """Say in a note whether a goal is met."""
    met = value >= limit if at_least else value <= limit
    bound = "at least" if at_least else "at most"
    return f"{what}: {value:.3g} (goal: {bound} {limit:g}; {'met' if met else 'missed'})"


BENCHMARKS: dict[str, Benchmark] = {}
_Run = TypeVar("_Run", bound=Callable[[float], Sequence[Table | Rates]])


def benchmark(name: str, about: str, long: bool = False) -> Callable[[_Run], _Run]:
    """Register the decorated function as the benchmark `name`."""

    def register(run: _Run) -> _Run:
        if name in BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name}")
        BENCHMARKS[name] = Benchmark(name, about, run, long)
        return run

    return register
