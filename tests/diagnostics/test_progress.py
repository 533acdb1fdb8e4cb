"""A line now and then where there is no terminal."""

import logging

from crild.diagnostics import progress


def test_a_line_says_how_far_it_is(monkeypatch, caplog):
    clock = iter([0.0, 1.0, 9.0, 11.0, 11.0, 20.0, 50.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO, "crild"):
        assert list(progress.track("abcde", "noise, student")) == list("abcde")
    assert caplog.messages == ["noise, student: 2 of 5", "noise, student: 4 of 5"]
