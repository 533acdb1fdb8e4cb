"""A task type of your own: stars from 1 to 5 as a number, with a loss that forgives outliers and a score of its own.

It takes the place of crild's regression in this process: `TASK_TYPES` is asked for every run.

python examples/own_task_type.py
"""

import random

import numpy as np
import pandas as pd
import torch

import crild
from crild.tasks.registry import TASK_TYPES
from crild.tasks.regression import Regression


def within_one(truth: np.ndarray, answers: np.ndarray) -> float:
    """The share of answers that are at most one star away."""
    return float(np.mean(np.abs(truth - answers) <= 1))


class Stars(Regression):
    """Whole numbers from 1 to 5; Huber's loss."""

    default_metric = "within_one"
    metrics = {**Regression.metrics, "within_one": within_one}  # noqa: RUF012

    def suits(self, raw):
        return bool(raw) and {str(value) for value in raw} <= {"1", "2", "3", "4", "5"}

    def loss(self, logits, labels):
        labelled = ~labels.isnan()
        losses = torch.nn.functional.huber_loss(logits.squeeze(-1), labels.nan_to_num(), reduction="none")
        return (losses * labelled).sum(), labelled.sum()


def reviews(rows=400, seed=0):
    rng = random.Random(seed)
    words = ["awful", "poor", "fine", "good", "great"]
    lines = []
    for _ in range(rows):
        stars = rng.randint(1, 5)
        lines.append({"text": f"the {rng.choice(['film', 'plot', 'music'])} was {words[stars - 1]}", "stars": stars})
    return pd.DataFrame(lines)


def main(output="runs/own_task_type", base="demo", **options):
    before = TASK_TYPES["regression"]
    TASK_TYPES["regression"] = Stars()
    try:
        result = crild.distill(
            teacher=base, data=reviews(), validation=reviews(100, seed=1), label="stars", student=3, method="kd",
            output=output, **options,
        )  # fmt: skip
    finally:
        TASK_TYPES["regression"] = before
    print(result)
    return result


if __name__ == "__main__":
    main()
