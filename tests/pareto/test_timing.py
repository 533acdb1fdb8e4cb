"""Times of models that take turns."""

from types import SimpleNamespace

import pytest

from crild.pareto.timing import ROUNDS, milliseconds
from crild.serving import timing


def test_rounds_go_through_the_rows_and_times_are_milliseconds(monkeypatch):
    """By a clock that only the models move: a real one says nothing on a busy machine."""
    seen, now = [], [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0], sleep=lambda _: None))

    def taking(seconds):
        def call():
            now[0] += seconds

        return lambda chosen: (seen.append(chosen), call)[1]

    times = milliseconds({"slow": taking(0.004), "fast": taking(0.001)}, 3, 2)
    assert times == pytest.approx({"slow": 4.0, "fast": 1.0})
    assert seen[:6:2] == seen[1:6:2] == [[0, 1], [2, 0], [1, 2]]  # both answer the same rows
    assert len(seen) == 2 * (timing.WARMUP + ROUNDS)
