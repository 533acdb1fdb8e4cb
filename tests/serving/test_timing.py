"""Models that take turns."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crild.serving import timing
from crild.serving.timing import ROUNDS, WARMUP, drawn, halves, take_turns, threads_of_torch, time_models


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the models move, and what is asked of which: a real one says nothing on a busy machine."""
    now, calls = [0.0], []
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0], sleep=lambda seconds: None))

    def taking(name, seconds):
        def prepare(rows):
            def call():
                calls.append((name, list(rows)))
                now[0] += seconds(rows) if callable(seconds) else seconds

            return call

        return prepare

    return taking, calls


def test_a_call_that_counts_finds_the_threads_of_another_model_at_rest(monkeypatch):
    now, busy_until = 0.0, 0.0

    def rest(seconds):
        nonlocal now
        now += seconds

    def greedy():
        nonlocal busy_until
        rest(0.002)
        busy_until = now + 0.009  # its threads wait by spinning, as PyTorch's

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now, sleep=rest))
    modest = lambda rows: lambda: rest(0.001 if now > busy_until else 0.003)  # noqa: E731
    times = take_turns({"greedy": lambda rows: greedy, "modest": modest}, [[0]] * (WARMUP + 4))
    assert times["greedy"] == pytest.approx([0.002] * 4)
    assert times["modest"] == pytest.approx([0.001] * 4)


def test_all_models_answer_the_same_rows_and_another_one_is_first_each_time(clock):
    taking, calls = clock
    times = take_turns({"a": taking("a", 1.0), "b": taking("b", 0.5)}, [[0], [1], [2], [3]], seconds=100)
    assert times == {"a": [1.0, 1.0], "b": [0.5, 0.5]}  # two rounds warm up
    asked = [("a", [0]), ("b", [0]), ("b", [1]), ("a", [1]), ("a", [2]), ("b", [2]), ("b", [3]), ("a", [3])]
    assert calls == [call for call in asked for _ in range(2)]  # the first of two does not count


def test_slow_models_get_fewer_rounds_but_three(clock):
    taking, _ = clock
    assert len(take_turns({"a": taking("a", 10.0)}, [[0]] * 50, seconds=1)["a"]) == 3
    assert len(take_turns({"a": taking("a", 10.0)}, [[0]] * 50, seconds=195)["a"]) == 8


def test_short_and_long_rows_are_timed_apart(clock):
    taking, calls = clock
    lengths = [5, 50, 7, 90, 6, 70]
    times = time_models({"a": taking("a", lambda rows: 0.001 * np.mean([lengths[i] for i in rows]))}, lengths, 1)["a"]
    assert 0.005 <= times.short <= 0.007
    assert 0.05 <= times.long <= 0.09
    assert times.mean == (times.short + times.long) / 2
    assert len(calls) == 2 * 2 * (WARMUP + ROUNDS[1])


def test_halves_are_the_shorter_and_the_longer_rows():
    assert {kind: rows.tolist() for kind, rows in halves([5, 50, 7, 90, 6]).items()} == {
        "short": [0, 4],
        "long": [2, 1, 3],
    }
    assert {kind: rows.tolist() for kind, rows in halves([5]).items()} == {"short": [0], "long": [0]}


def test_few_rows_come_again_and_all_of_them_come():
    rounds = drawn(np.arange(10, 15), 32)
    assert (len(rounds), {len(each) for each in rounds}) == (WARMUP + ROUNDS[32], {32})
    assert {row for each in rounds for row in each} == set(range(10, 15))
    assert rounds == drawn(np.arange(10, 15), 32)


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for load, told in ((2.4, False), (2.6, True)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert bool(timing.busy()) is told
    assert timing.busy().startswith("the machine is busy (load 2.6 on 2 processors), so times mislead")


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads_of_torch(before + 1) as threads:
        assert threads == torch.get_num_threads() == before + 1
    with threads_of_torch(None) as threads:
        assert threads == before
    assert torch.get_num_threads() == before
