"""Times: models take turns, on as many batches as there are rounds."""

import time

import pytest
import torch
from datasets import Dataset

from crild.pareto.timing import ROUNDS, WARM_UP, in_batches, threads_of, turns


def test_models_take_turns_and_the_first_rounds_do_not_count():
    seen = []

    def call(name, seconds):
        def run(number):
            seen.append((name, number))
            time.sleep(0.1 if len(seen) <= 2 * WARM_UP else seconds)

        return run

    slow, fast = turns([call("slow", 0.02), call("fast", 0.002)], rounds=5)
    assert slow == pytest.approx(20, rel=0.5)
    assert fast < slow / 3
    assert seen[-4:] == [("slow", 3), ("fast", 3), ("slow", 4), ("fast", 4)]
    assert len(seen) == 2 * (5 + WARM_UP)


def test_batches_go_round_the_rows():
    batches = in_batches(Dataset.from_dict({"text": ["a", "b", "c"]}), 2)
    assert [batch["text"][:] for batch in batches[:3]] == [["a", "b"], ["c", "a"], ["b", "c"]]
    assert len(batches) == ROUNDS


def test_torchs_threads_are_given_back():
    before = torch.get_num_threads()
    with threads_of(3) as count:
        assert (count, torch.get_num_threads()) == (3, 3)
    assert torch.get_num_threads() == before
