"""Times of models that take turns."""

import time

from crild.pareto.timing import ROUNDS, milliseconds
from crild.serving.timing import WARMUP


def test_rounds_go_through_the_rows_and_times_are_milliseconds():
    seen = []

    def slow(chosen):
        seen.append(chosen)
        return lambda: time.sleep(0.004)

    times = milliseconds({"slow": slow, "fast": lambda chosen: lambda: None}, 3, 2)
    assert 4 <= times["slow"] < 12
    assert times["fast"] < 1
    assert seen[:3] == [[0, 1], [2, 0], [1, 2]]
    assert len(seen) == WARMUP + ROUNDS
