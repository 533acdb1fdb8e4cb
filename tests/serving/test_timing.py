"""Models that take turns: none pays for another one."""

import time

from crild.serving.timing import SETTLE, WARMUP, take_turns


def test_a_call_that_counts_follows_one_of_the_same_model_that_does_not_and_another_models_threads_have_settled():
    calls, busy_until = [], 0.0

    def greedy():
        nonlocal busy_until
        calls.append("greedy")
        busy_until = time.perf_counter() + SETTLE  # as PyTorch's threads, which wait by spinning

    def modest():
        calls.append("modest")
        time.sleep(max(0.0, busy_until - time.perf_counter()))

    times = take_turns({"greedy": lambda rows: greedy, "modest": lambda rows: modest}, [[0]] * (WARMUP + 4))
    assert calls[:4] == ["greedy", "greedy", "modest", "modest"]
    assert calls[4:6] == ["modest", "modest"]  # another one goes first
    assert [len(each) for each in times.values()] == [4, 4]
    assert max(times["modest"]) < SETTLE / 2
