"""A step of an examination and what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["ok", "failed", "not tried"]


@dataclass(frozen=True)
class Step:
    """What one step found. `todo` says what mends it; empty where nothing is wrong. `took_s` in seconds."""

    name: str
    outcome: Outcome
    words: str
    todo: str = ""
    took_s: float = 0.0


class Failed(Exception):
    """A step found its fault: what is wrong, and what to do."""

    def __init__(self, words: str, todo: str) -> None:
        super().__init__(words)
        self.words = words
        self.todo = todo


class Report:
    """The steps so far; each is told as soon as it is known."""

    def __init__(self, tell: Callable[[Step], None] = lambda _step: None) -> None:
        self.steps: list[Step] = []
        self._tell = tell

    def add(self, step: Step) -> None:
        """Note a step."""
        self.steps.append(step)
        self._tell(step)

    def skip(self, name: str, why: str) -> None:
        """Note a step that was not tried."""
        self.add(Step(name, "not tried", why))

    @property
    def is_well(self) -> bool:
        """Whether nothing failed."""
        return all(step.outcome != "failed" for step in self.steps)

    def as_json(self) -> list[dict[str, Any]]:
        """Every step, for programs."""
        return [asdict(step) for step in self.steps]


class Timed:
    """`with Timed(report, "TCP port") as step: ...; step.words = "..."`: notes the step, failed or well.

    A `Failed` inside ends the step and is swallowed; `is_ok` tells afterwards.
    """

    def __init__(self, report: Report, name: str) -> None:
        self._report = report
        self._name = name
        self.words = ""
        self.is_ok = False

    def __enter__(self) -> Timed:
        self._begun = time.monotonic()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        took = time.monotonic() - self._begun
        if error is None:
            self.is_ok = True
            self._report.add(Step(self._name, "ok", self.words, took_s=took))
            return False
        if isinstance(error, Failed):
            self._report.add(Step(self._name, "failed", error.words, error.todo, took))
            return True
        return False
