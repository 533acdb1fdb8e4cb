"""Lines about a stage where there is no terminal."""

import io
import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from crild.console import into
from crild.training import progress
from crild.training.progress import EVERY, FIRST, StageProgress


class Losses(nn.Module):
    """A model whose loss is what it is given."""

    def forward(self, loss):
        return {"loss": torch.tensor(loss, requires_grad=True)}


ALONE = SimpleNamespace(world_size=1)


def lines_of(monkeypatch, seconds, steps, micro=1, planned=None, rest=0.0):
    """Run a stage whose steps take so many seconds; return when each line was printed, and the lines."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    state = SimpleNamespace(global_step=0, max_steps=steps)
    callback, model, out, times = StageProgress("KD", planned, rest), Losses(), io.StringIO(), []
    with into(out):
        callback.on_train_begin(ALONE, state, None, model=model)
        for step in range(1, steps + 1):
            callback.on_step_begin(ALONE, state, None)
            for _ in range(micro):
                model(step / micro)
            clock.now += seconds
            state.global_step = step
            before = len(out.getvalue())
            callback.on_step_end(ALONE, state, None)
            times += [clock.now - 100.0 - seconds] if len(out.getvalue()) > before else []  # after the first step
        callback.on_train_end(ALONE, state, None)
    assert not model._forward_hooks
    return times, out.getvalue().splitlines()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.0, 7.0, 20.0])
def test_the_first_line_comes_within_five_seconds_and_then_one_every_thirty(seconds, monkeypatch):
    times, _ = lines_of(monkeypatch, seconds, steps=int(200 / seconds))
    assert times[0] <= FIRST
    assert all(later - earlier <= EVERY for earlier, later in pairwise(times))
    assert len(times) < 200 / EVERY * 2


def test_a_line_has_step_loss_rate_and_time_left(monkeypatch):
    _, (first, *_) = lines_of(monkeypatch, 0.5, steps=1000, micro=4)
    step = int(re.match(r"KD: step (\d+)/1000 ", first)[1])
    assert first == f"KD: step {step}/1000  loss {step}  2 steps/s  about 7 to 11 minutes left"


def test_what_follows_is_corrected_by_how_long_this_stage_takes(monkeypatch):
    """A stage of 10 minutes was estimated at 5, so what follows takes twice as long, too."""
    _, lines = lines_of(monkeypatch, 0.6, steps=1000, planned=5.0, rest=10.0)
    assert lines[-1].endswith("about 16 to 26 minutes left")
    assert StageProgress("KD", 5.0, 10.0).minutes_left(0.6, 500, 1000) == pytest.approx(5 + 20)


def test_short_stages_say_nothing(monkeypatch):
    assert lines_of(monkeypatch, 0.1, steps=20) == ([], [])
