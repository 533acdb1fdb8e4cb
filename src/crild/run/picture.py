"""The models of a run by score and cost, for pictures of them."""

from crild.reporting.figures import Costed, bars, score_and_latency
from crild.reporting.page import Figure
from crild.run.result import CALLED, Result


def costed(result: Result) -> list[Costed]:
    """Return teacher, control and student by score and cost; nothing where nobody measured how long they take.

    The control is the student trained otherwise: it costs as much.
    """
    found = {name: each for name, each in result.models.items() if each is not None}
    if any(name not in found or not found[name].latency_ms for name in ("teacher", "student")):
        return []
    costs = {name: found["student"] if name == "control" else each for name, each in found.items()}
    return [
        Costed(
            CALLED.get(name, name), name, each.score, *each.interval, costs[name].latency_ms or 0.0, costs[name].bytes
        )
        for name, each in found.items()
    ]


def scores_picture(result: Result) -> Figure:
    """Return score against latency and size, or scores alone where nobody measured times."""
    if models := costed(result):
        return score_and_latency(models, result.metric)
    values = {CALLED.get(name, name): {"score": each.score} for name, each in result.models.items() if each is not None}
    title = f"{result.metric} on {result.rows['validation']} held-out rows"
    return bars(title, values, {"score": "student"}, result.metric)
