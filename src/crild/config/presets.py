"""Presets: how long and how fast each stage trains where nobody says otherwise."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crild.config.options import TrainConfig


@dataclass(frozen=True)
class StageSettings:
    """How long and how fast one stage trains.

    Attributes:
        epochs: passes over the stage's rows.
        learning_rate: peak, after 10 % warm-up; falls linearly to 0.
        batch_size: rows of one optimiser step, over all processes.
        max_steps: a cap on optimiser steps, or ``None``.
        eval_steps: steps between evaluations on the selection split, besides the one after every epoch.
        save_minutes: minutes between checkpoints.
        save_steps: steps between checkpoints instead, where they are given.
        accumulation: micro-batches of one optimiser step; ``batch_size`` is divided among them.
        grouped: rows of like length share a batch; else batches are random.
        pad_to: tokens that every batch is padded to; ``None``: its own longest row's.
        drop_last: leave an incomplete last batch out.
        keep: the weights to end with: of the evaluation with the best score, of the last step, or their `averaged`.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    max_steps: int | None = None
    eval_steps: int | None = None
    save_minutes: float = 5.0
    save_steps: int | None = None
    accumulation: int = 1
    grouped: bool = True
    pad_to: int | None = None
    drop_last: bool = False
    keep: Literal["best", "last", "average"] = "best"

    def steps(self, rows: int) -> int:
        """Return the number of optimiser steps over ``rows`` rows."""
        total = self.epochs * self.steps_per_epoch(rows)
        return min(total, self.max_steps) if self.max_steps else total

    def steps_per_epoch(self, rows: int) -> int:
        """Return the number of optimiser steps of one epoch."""
        if self.drop_last and rows >= self.batch_size:
            return rows // self.batch_size
        return -(-rows // self.batch_size)

    def averaged(self, rows: int) -> tuple[int, ...]:
        """Return the steps whose weights are averaged: ends of epochs in the last half of all steps, and the last.

        Source: Lu et al. 2022, *Improving Generalization of Pre-trained Language Models via Stochastic Weight
        Averaging* (here without a learning rate of its own).
        """
        total, epoch = self.steps(rows), self.steps_per_epoch(rows)
        return tuple(step for step in (*range(epoch, total, epoch), total) if 2 * step > total)


@dataclass(frozen=True)
class StagePreset:
    """Settings of one stage.

    Attributes:
        learning_rate, batch_size: as in `StageSettings`.
        epochs: (most rows, epochs) in rising order; the last entry holds for any number of rows.
        eval_steps: steps between evaluations, besides the one after every epoch.
    """

    learning_rate: float
    batch_size: int
    epochs: tuple[tuple[float, int], ...]
    eval_steps: int | None = None

    def epochs_for(self, rows: int) -> int:
        """Return the epochs on this many rows."""
        return next(epochs for most, epochs in self.epochs if rows <= most)


STATIC_RATE = 3e-3  # of a static student, whatever the preset: with those of Transformers its embeddings hardly move
ANY = float("inf")
PRESETS: dict[str, dict[str, StagePreset]] = {
    # Small students and few rows on a CPU. Rates, and epochs of up to 1,500 rows, were searched:
    # docs/notebook/2026-11-first-round.md, "Set-up".
    "quick": {
        "finetune": StagePreset(1e-4, 16, ((1500, 10), (10_000, 4), (ANY, 2))),
        "ild": StagePreset(1e-4, 32, ((1500, 10), (10_000, 4), (ANY, 2))),
        "kd": StagePreset(1e-4, 32, ((1500, 10), (10_000, 3), (ANY, 2))),
    },
    # `method.md` section 3: the paper's settings.
    "paper": {
        "finetune": StagePreset(2e-5, 16, ((1500, 20), (ANY, 4))),
        "ild": StagePreset(3e-5, 32, ((20_000, 20), (200_000, 10), (ANY, 5))),
        "kd": StagePreset(3e-5, 16, ((ANY, 4),), eval_steps=50),
    },
}


def of_presets(key: str, setting: Literal["epochs", "learning_rate", "batch_size"]) -> str:
    """Return what each preset says of one setting of a stage, for help: ``quick 1e-04, paper 2e-05``."""
    return ", ".join(f"{name} {_words(getattr(preset[key], setting))}" for name, preset in PRESETS.items())


def _words(setting: float | tuple[tuple[float, int], ...]) -> str:
    if not isinstance(setting, tuple):
        return f"{setting:g}"
    return " or ".join(str(n) + (f" (up to {most:,} rows)" if most != ANY else "") for most, n in setting)


def stage_settings(config: "TrainConfig", kind: str, rows: int, static: bool = False) -> StageSettings:
    """Return the settings of a stage of ``kind`` on ``rows`` rows: own options, then `epochs`, then the preset.

    Args:
        config: the options.
        kind: of the stage, a key of a preset.
        rows: that it trains on.
        static: what it trains is a static student.
    """
    preset = PRESETS[config.preset or "quick"][kind]
    rate = getattr(config, f"{kind}_learning_rate")
    usual = STATIC_RATE if static else preset.learning_rate
    return StageSettings(
        epochs=getattr(config, f"{kind}_epochs") or config.epochs or preset.epochs_for(rows),
        learning_rate=usual if rate is None else rate,
        batch_size=getattr(config, f"{kind}_batch_size") or preset.batch_size,
        max_steps=config.max_steps,
        eval_steps=preset.eval_steps,
        save_minutes=config.save_minutes,
        save_steps=config.save_steps,
        accumulation=config.accumulation,
        keep=config.keep,
    )
