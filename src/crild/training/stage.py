"""`StageTrainer`: one stage of a run, in its folder, from where it was killed to its end."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from crild.checkpoints import KEPT as CHECKPOINTS
from crild.checkpoints import checkpoints, flaw, seal, step_of
from crild.config import StageSettings
from crild.console import warn
from crild.data.augment import Augmented
from crild.data.batching import Collator, LengthGroupedSampler
from crild.errors import CrildError
from crild.files import StageFolder, room_in, whole
from crild.processes import is_main, launched, on_main, wait
from crild.training.arguments import StageArguments
from crild.training.distiller import Distiller
from crild.training.divergence import diverged, lost_term, lost_weight
from crild.training.trainer import DistillerTrainer, add_terms, everywhere

INCOMPLETE = "incomplete"
KEPT = "kept."
LOG_EVERY = 25  # steps between two entries of the log: one synchronisation with the device each
Score = Callable[[np.ndarray], float]


class _Rhythm(TrainerCallback):
    """When to evaluate, to log and to save; and what the averaged weights need after every optimiser step."""

    def __init__(self, trainer: "StageTrainer") -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer, step = self.trainer, state.global_step
        trainer.average(step)
        settings = trainer.settings
        ends_epoch = step % settings.steps_per_epoch(len(trainer.train_dataset)) == 0  # type: ignore[arg-type]
        due = settings.eval_steps is not None and step % settings.eval_steps == 0
        last = step >= state.max_steps
        control.should_evaluate = ends_epoch or due or last
        control.should_save = trainer.checkpoints_due.at(step)
        control.should_log = step % LOG_EVERY == 0 or last
        if control.should_save or control.should_log:
            trainer.flush()


class CheckpointsDue:
    """When to write a checkpoint: every so many steps, or minutes; in the latter case the first process's clock counts.

    To ask it at every step would let all processes wait for each other, so they ask when half of the time that is left
    should have passed.

    Args:
        settings: of the stage.
        clock: seconds.
    """

    def __init__(self, settings: StageSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings, self.clock = settings, clock
        self.next_look = 0
        self.before: tuple[int, float] | None = None  # step and time of the last look
        self.saved = clock()

    def at(self, step: int) -> bool:
        """Return whether one is due after a step; every process asks after every step."""
        if self.settings.save_steps is not None:
            return step % self.settings.save_steps == 0
        if step < self.next_look:
            return False
        due, steps = on_main(lambda: self._look(step))
        self.next_look = step + steps
        return due

    def _look(self, step: int) -> tuple[bool, int]:
        now, period = self.clock(), 60 * self.settings.save_minutes
        due = now - self.saved >= period
        if due:
            self.saved = now
        since, began = self.before or (step - 1, now)
        self.before = (step, now)
        seconds = (now - began) / (step - since)
        left = period - (now - self.saved)
        return due, max(1, int(left / 2 / seconds)) if seconds else 1


class StageTrainer(DistillerTrainer):
    """Train a `Distiller` for one stage of a run; resume it bit for bit from its folder.

    Args:
        distiller: what to train.
        train: tokenised rows (``input_ids``, ``attention_mask``, ``labels``, ``length``, perhaps ``teacher_logits``),
            perhaps with rewrites beside them.
        held_out: the selection split, tokenised alike.
        tokenizer: for padding.
        settings: epochs, rates, rhythm.
        folder: of this stage; checkpoints and logs go there.
        stage: its name; part of every random stream.
        seed: of the run.
        score: metric of logits on ``held_out``; if given, the student ends with the weights of ``settings.keep``, else
            with the last.
        watch: a score of the student that is logged at every evaluation as ``validation``, and chooses nothing.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        gradient_checkpointing: compute activations again in the backward pass.
        callbacks: for progress bars.
        trackers: what `TrainingArguments` are told of trackers; by default there are none.
    """

    def __init__(
        self,
        distiller: Distiller,
        train: Dataset | Augmented,
        held_out: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        settings: StageSettings,
        folder: Path,
        stage: str,
        seed: int,
        score: Score | None = None,
        watch: Callable[[PreTrainedModel], float] | None = None,
        precision: str = "fp32",
        gradient_checkpointing: bool = False,
        callbacks: list[TrainerCallback] | None = None,
        trackers: Mapping[str, Any] = MappingProxyType({"report_to": "none"}),
    ) -> None:
        self.settings, self.folder, self.score, self.watch = settings, folder, score, watch
        self.checkpoints_due = CheckpointsDue(settings)
        self.pending: list[dict[str, Any]] = []
        self.epoch_terms: dict[str, tuple[float, float]] = {}  # (sum, count) since the last evaluation
        self.start: dict[str, float] = {}  # every term on the held-out rows before the first step
        self.kept: dict[str, Tensor] | None = None  # the student's weights, best or averaged until now
        args = StageArguments(
            output_dir=str(folder),
            per_device_train_batch_size=max(1, settings.batch_size // settings.accumulation // launched()),
            per_device_eval_batch_size=64,
            gradient_accumulation_steps=settings.accumulation,
            learning_rate=settings.learning_rate,
            adam_epsilon=distiller.recipe.adam_epsilon,
            num_train_epochs=settings.epochs,
            max_steps=settings.steps(len(train)),
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            activation_checkpointing=gradient_checkpointing,
            activation_checkpointing_kwargs={"use_reentrant": False} if gradient_checkpointing else None,
            seed=seed,
            logging_strategy="no",
            eval_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
            logging_nan_inf_filter=False,
            dataloader_pin_memory=False,  # batches are small: a thread that pins them costs more than it saves
            use_cpu=not torch.cuda.is_available(),
            **trackers,
        )
        super().__init__(
            distiller, args, stage, train, held_out, Collator(tokenizer, settings.pad_to),
            [_Rhythm(self), *(callbacks or [])],
        )  # fmt: skip
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)

    # ---- a stage from beginning or checkpoint to end ----

    def run(self) -> None:
        """Train to the end, from the newest complete checkpoint if there is one; the student ends as the one kept.

        Raises:
            CrildError: the device's memory does not hold a micro-batch, or the stage diverges; the last checkpoint,
                from before that, is kept.
        """
        try:
            self._run()
        except torch.OutOfMemoryError:
            raise CrildError(out_of_memory(self.stage, self.settings)) from None

    def _run(self) -> None:
        checkpoint, done, self.start, self.epoch_terms = on_main(self._go_on)
        if checkpoint and done >= self.args.max_steps:  # killed after the last step; `train` would take another one
            self._load_from_checkpoint(str(checkpoint))
        else:
            if not self.start:
                self.evaluate()  # where the stage starts from: what a falling loss falls from
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self.flush()
        self.refuse_divergence(self.state.global_step, lost_weight(self.distiller))
        if self.kept is not None:
            self.distiller.student.load_state_dict(self.kept)

    def _go_on(self) -> tuple[Path | None, int, dict[str, float], dict[str, tuple[float, float]]]:
        """Clear up what a kill has left.

        Returns:
            The newest whole checkpoint; its step; the terms that the stage began with, if it did; those since it was
            last evaluated.
        """
        shutil.rmtree(self.folder / INCOMPLETE, ignore_errors=True)
        checkpoint = self.newest()
        done = step_of(checkpoint) if checkpoint else 0
        history = trim_log(StageFolder(self.folder).history, done)
        for entry in trim_log(StageFolder(self.folder).steps, done, after=history[-1]["step"] if history else 0):
            numbers = {name: (t["value"] * t["count"], t["count"]) for name, t in entry["terms"].items()}
            add_numbers(self.epoch_terms, numbers)
        return checkpoint, done, history[0]["held_out"] if history else {}, self.epoch_terms

    def newest(self) -> Path | None:
        """Return the newest checkpoint that is whole, to go on from; damaged ones are removed, and it is said.

        It is for the first process alone.
        """
        damaged = []
        for path in reversed(self.checkpoints()):
            if (wrong := flaw(path)) is None:
                break
            damaged.append((path, wrong))
        else:
            path = None
        for each, wrong in damaged:
            onward = f"going on from step {step_of(path)}" if path else "the stage begins anew"
            warn(f"stage {self.stage}: {each.name} is damaged ({wrong}); {onward}")
        if damaged:
            self.remove([each for each, _ in damaged])
        return path

    def steps_done(self) -> int:
        """Return the optimiser steps that are safe in a checkpoint."""
        newest = self.newest()
        return step_of(newest) if newest else 0

    def remove_checkpoints(self) -> None:
        """Delete the stage's checkpoints; its result is saved."""
        self.remove(self.checkpoints())

    def remove(self, checkpoints: list[Path]) -> None:
        """Delete checkpoints; each is renamed first, so that a half-deleted one is never taken for a whole one."""
        trash = self.folder / INCOMPLETE
        trash.mkdir(exist_ok=True)
        for path in checkpoints:
            os.replace(path, trash / f"old-{path.name}")
        shutil.rmtree(trash, ignore_errors=True)

    def checkpoints(self) -> list[Path]:
        """Return the stage's complete checkpoints, oldest first."""
        return checkpoints(self.folder)

    # ---- one step ----

    @property
    def step_size(self) -> int:
        """Rows of an optimiser step, over all micro-batches and processes."""
        return self.settings.batch_size

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        return self.sampler(grouped=self.settings.grouped, drop_last=self.settings.drop_last)

    # ---- log ----

    def note(self, step: int, lam: float | None, progress: float, output: dict[str, Any]) -> None:
        """Note a micro-batch's terms for the log, and for a line of ``steps.jsonl``."""
        super().note(step, lam, progress, output)
        if not self.pending or self.pending[-1]["step"] != step + 1:
            self.pending.append(
                {
                    "stage": self.stage,
                    "step": step + 1,
                    "p": progress,
                    "lambda": lam,
                    "learning_rate": self._get_learning_rate(),
                    "weights": output["weights"],
                    "sums": {},
                }
            )
        add_terms(self.pending[-1]["sums"], output["terms"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; what was logged is in the stage's own files, and neither memory nor checkpoints grow with it."""
        super().log(logs, start_time)
        self.state.log_history.clear()

    def flush(self) -> None:
        """Write the pending steps to ``steps.jsonl``: every term by name, value and weight.

        Raises:
            CrildError: one of them shows that the stage has diverged.
        """
        pending, self.pending = self.pending, []
        pairs = everywhere({f"{i} {name}": x for i, entry in enumerate(pending) for name, x in entry["sums"].items()})
        lines: list[str] = []
        together: dict[str, tuple[float, float]] = {}
        for i, entry in enumerate(pending):
            names, weights = entry.pop("sums"), entry.pop("weights")
            numbers = {name: (float(x[0]), float(x[1])) for name in names for x in [pairs[f"{i} {name}"].tolist()]}
            terms = {
                name: {"value": total / max(count, 1), "weight": weights[name], "count": count}
                for name, (total, count) in numbers.items()
            }
            add_numbers(self.epoch_terms, numbers)
            add_numbers(together, numbers)
            loss = sum(t["value"] * t["weight"] for t in terms.values())
            lines.append(json.dumps({**entry, "loss": loss, "terms": terms}) + "\n")
        if lines and is_main():
            with StageFolder(self.folder).steps.open("a") as log:
                log.writelines(lines)
        if pending:
            self.refuse_divergence(pending[-1]["step"], lost_term(means_of(together), self.start))

    def refuse_divergence(self, step: int, what: str | None) -> None:
        """Raise `CrildError` where something has diverged; asked where numbers are there anyway, not at every step."""
        if what is not None:
            kept = self.checkpoints()
            half = self.args.bf16 or self.args.fp16
            safe = step_of(kept[-1]) if kept else 0
            raise CrildError(diverged(self.stage, step, what, safe, self.settings, half))

    # ---- held-out evaluation ----

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure every term, and the score where the stage has one, on the held-out split; keep the best student."""
        self.flush()
        held_out, _, logits = self.measure(self.eval_dataset)
        if not self.state.global_step:
            self.start = held_out
        self.refuse_divergence(self.state.global_step, lost_term(held_out, self.start))
        entry: dict[str, Any] = {
            "stage": self.stage,
            "step": self.state.global_step,
            "epoch": round(self.state.epoch or 0.0, 4),
            "train": means_of(self.epoch_terms),
            "held_out": held_out,
        }
        self.epoch_terms = {}
        if self.score is not None and logits is not None and self.state.global_step:
            entry["score"] = self.score(logits)
            if self.watch is not None:
                self.collect()
                entry["validation"] = self.watch(self.distiller.student)
            # Of equals the later one: a small selection split often ties, and the later student has learned more.
            best = self.state.best_metric is None or entry["score"] >= self.state.best_metric
            if best and self.settings.keep == "best":
                self.state.best_metric = entry["score"]
                self.kept = self.weights()
        if is_main():
            with (StageFolder(self.folder).history).open("a") as log:
                print(json.dumps(entry), file=log)
        scores = {f"eval_{name}": entry[name] for name in ("score", "validation") if name in entry}
        gaps = {
            f"eval_gap/{name}": held_out[name] - value for name, value in entry["train"].items() if name in held_out
        }
        self.log({f"eval_{name}": value for name, value in held_out.items()} | gaps | scores)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, entry)
        return held_out

    # ---- the weights to end with ----

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the student's weights as they are now."""
        self.collect()
        return {k: v.detach().cpu().clone() for k, v in self.distiller.student.state_dict().items()}

    def average(self, step: int) -> None:
        """Take the weights after ``step`` into the mean, where they are to be: real numbers; of others the last stays.

        It is a running mean whose number of members follows from the step, so it is all that a checkpoint has to hold.
        """
        if self.score is None or self.settings.keep != "average":
            return
        steps = self.settings.averaged(len(self.train_dataset))  # type: ignore[arg-type]
        if step not in steps:
            return
        mean, now, share = self.kept or {}, self.weights(), 1.0 / (1 + steps.index(step))
        self.kept = {k: mean[k].lerp(v, share) if k in mean and v.is_floating_point() else v for k, v in now.items()}

    # ---- checkpoints ----

    def beside(self) -> dict[str, Tensor]:
        """Return what the distiller has beside the student, and the weights that are kept until now."""
        return super().beside() | {KEPT + name: tensor for name, tensor in (self.kept or {}).items()}

    def load_beside(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors that `beside` gave."""
        kept = {name.removeprefix(KEPT): x for name, x in tensors.items() if name.startswith(KEPT)}
        self.kept = kept or None
        super().load_beside({name: x for name, x in tensors.items() if not name.startswith(KEPT)})

    def _bytes(self) -> int:
        """Return about how many bytes a checkpoint has."""
        moments = [x for each in self.optimizer.state.values() for x in each.values()]  # type: ignore[union-attr]
        tensors = (*self.student.state_dict().values(), *self.beside().values(), *moments)
        return sum(x.nbytes for x in tensors if isinstance(x, Tensor))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint under another name and rename it when it is complete; never one of lost weights."""
        self.collect()
        self.refuse_divergence(self.state.global_step, lost_weight(self.distiller))
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self.args.output_dir = str(self.folder / INCOMPLETE)
        with room_in(self.folder, self._bytes()):
            try:
                super()._save_checkpoint(model, trial)
            except Exception:  # a full disk has room again for what else there is to write
                shutil.rmtree(self.folder / INCOMPLETE, ignore_errors=True)
                raise
            finally:
                self.args.output_dir = str(self.folder)

        def complete() -> None:
            seal(self.folder / INCOMPLETE / name)
            os.replace(self.folder / INCOMPLETE / name, self.folder / name)
            self.remove(self.checkpoints()[:-CHECKPOINTS])

        wait()  # every process has written its part
        on_main(complete)


def out_of_memory(stage: str, settings: StageSettings) -> str:
    """Return what to do where a stage's micro-batches do not fit into the device's memory."""
    size, parts = settings.batch_size, settings.accumulation
    more = next((n for n in range(parts + 1, size + 1) if size % n == 0), None)
    cure = f"add --accumulation {more} (the same steps, {size // more} rows at a time)" if more else "use the CPU"
    return (
        f"stage {stage}: out of GPU memory at batch size {size} ({size // parts} rows at a time): {cure}, add "
        "--gradient-checkpointing, or lower --max-length"
    )


def add_numbers(sums: dict[str, tuple[float, float]], more: Mapping[str, Sequence[float]]) -> None:
    """Add each term's (sum, count) to the running one."""
    for name, (total, count) in more.items():
        before = sums.get(name, (0.0, 0.0))
        sums[name] = (before[0] + total, before[1] + count)


def means_of(sums: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return each term's mean; 0 where nothing was counted."""
    return {name: total / max(count, 1) for name, (total, count) in sums.items()}


def trim_log(path: Path, step: int, after: int = -1) -> list[dict[str, Any]]:
    """Drop the lines of a log that are later than ``step``, for a resumed stage writes them again.

    Returns:
        Of the others those that are later than ``after``: a log is long.
    """
    if not path.exists():
        return []
    kept = []
    with whole(path) as part, path.open(encoding="utf-8") as log, part.open("w", encoding="utf-8") as out:
        for line in log:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # a line that was cut off when the run was killed
                break
            if entry["step"] <= step:
                out.write(line.rstrip("\n") + "\n")
            if after < entry["step"] <= step:
                kept.append(entry)
    return kept
