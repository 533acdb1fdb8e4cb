"""`DistillationTrainer`: the stock `transformers.Trainer`, with exact term means and bit-exact resume."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from crild.config import StageSettings
from crild.data.augment import Augmented
from crild.data.batching import Collator, LengthGroupedSampler, batches_by_length
from crild.errors import CrildError
from crild.files import StageFolder, write_whole
from crild.models.interpolation import draw_lambda
from crild.objectives import Term
from crild.training.distiller import Distiller

INCOMPLETE = "incomplete"
FLUSH_EVERY = 25  # steps between two writes of the log: one synchronisation with the device each
Score = Callable[[np.ndarray], float]


def stream(*parts: int | str) -> tuple[int, ...]:
    """Return a seed for the random stream named by ``parts``, for instance (seed, stage, step)."""
    return tuple(zlib.crc32(p.encode()) if isinstance(p, str) else p for p in parts)


class _Rhythm(TrainerCallback):
    """When to evaluate and to save; and the hooks before every epoch and after every optimiser step."""

    def __init__(self, trainer: "DistillationTrainer") -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        trainer = self.trainer
        epoch = state.global_step // trainer.settings.steps_per_epoch(len(trainer.train_dataset))  # type: ignore[arg-type]
        trainer.distiller.start_epoch(*stream(trainer.seed, trainer.stage, "layers", epoch))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer, step = self.trainer, state.global_step
        trainer.distiller.after_step()
        trainer.average(step)
        settings = trainer.settings
        ends_epoch = step % settings.steps_per_epoch(len(trainer.train_dataset)) == 0  # type: ignore[arg-type]
        due = settings.eval_steps is not None and step % settings.eval_steps == 0
        last = step >= state.max_steps
        control.should_evaluate = ends_epoch or due or last
        control.should_save = step % settings.save_steps == 0
        if control.should_save or len(trainer.pending) >= FLUSH_EVERY:
            trainer.flush()


class DistillationTrainer(Trainer):
    """Train a `Distiller` for one stage; resume it bit for bit.

    Every random choice is a function of (seed, stage, step or epoch): dropout is re-seeded at each step, the order of
    rows and the interpolation weight have streams of their own. So a run that was killed and started again ends with
    the same weights as one that ran through.

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
        precision: ``fp32`` or ``bf16``.
        callbacks: for progress bars.
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
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        self.distiller, self.settings = distiller, settings
        self.folder, self.stage, self.seed, self.score, self.watch = folder, stage, seed, score, watch
        self.pending: list[dict[str, Any]] = []
        self.epoch_terms: dict[str, tuple[float, float]] = {}  # (sum, count) since the last evaluation
        self.kept: dict[str, Tensor] | None = None  # the student's weights, best or averaged until now
        self.held_out = held_out
        has_cuda = torch.cuda.is_available()
        args = TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=settings.batch_size // settings.accumulation,
            gradient_accumulation_steps=settings.accumulation,
            learning_rate=settings.learning_rate,
            weight_decay=0.01,
            adam_epsilon=distiller.recipe.adam_epsilon,
            warmup_steps=0.1,  # below 1: a share of all steps
            lr_scheduler_type="linear",
            max_grad_norm=1.0,
            num_train_epochs=settings.epochs,
            max_steps=settings.steps(len(train)),
            bf16=precision == "bf16",
            seed=seed,
            logging_strategy="no",
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            logging_nan_inf_filter=False,
            dataloader_pin_memory=False,  # batches are small: a thread that pins them costs more than it saves
            use_cpu=not has_cuda,
        )
        args._n_gpu = min(args.n_gpu, 1)
        super().__init__(
            model=distiller,
            args=args,
            train_dataset=train,
            data_collator=Collator(tokenizer, settings.pad_to),
            callbacks=[_Rhythm(self), *(callbacks or [])],
        )
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.loss_is_scaled_for_ga = True
        distiller.move_teacher(args.device)

    # ---- a stage from beginning or checkpoint to end ----

    def run(self) -> None:
        """Train to the end, from the newest complete checkpoint if there is one; the student ends as the one kept.

        Raises:
            CrildError: the device's memory does not hold a micro-batch.
        """
        try:
            self._run()
        except torch.OutOfMemoryError:
            raise CrildError(out_of_memory(self.stage, self.settings)) from None

    def _run(self) -> None:
        shutil.rmtree(self.folder / INCOMPLETE, ignore_errors=True)
        checkpoint, done = next(reversed(self.checkpoints()), None), self.steps_done()
        steps = trim_log(StageFolder(self.folder).steps, done)
        history = trim_log(StageFolder(self.folder).history, done)
        evaluated = history[-1]["step"] if history else 0
        for entry in steps:
            if entry["step"] > evaluated:
                self._add_to_epoch({k: (t["value"] * t["count"], t["count"]) for k, t in entry["terms"].items()})
        self.freeze_unreachable()
        if checkpoint and (checkpoint / "kept.safetensors").exists():
            self.kept = load_file(checkpoint / "kept.safetensors")
        if checkpoint and done >= self.args.max_steps:  # killed after the last step; `train` would take another one
            self.distiller.load_state_dict(load_file(checkpoint / "model.safetensors"))
        else:
            if not history:
                self.evaluate()  # where the stage starts from: what a falling loss falls from
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        self.flush()
        if self.kept is not None:
            self.distiller.student.load_state_dict(self.kept)

    def steps_done(self) -> int:
        """Return the optimiser steps that are safe in a checkpoint."""
        return max((int(path.name.rsplit("-", 1)[1]) for path in self.checkpoints()), default=0)

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
        found = self.folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        return sorted(found, key=lambda path: int(path.name.rsplit("-", 1)[1]))

    def freeze_unreachable(self) -> None:
        """Freeze the student's parameters that no term of this stage depends on, found by one backward pass.

        In stage 1 that is the head; under Q/K/V features of the last layer also what follows them.
        """
        rows = self.train_dataset
        batch = self._prepare_inputs(self.data_collator([rows[i] for i in range(min(2, len(rows)))]))  # type: ignore[index, arg-type]
        state = {name: x.clone() for name, x in self.distiller.named_buffers()}
        self.distiller.train()
        self.distiller(batch, lam=0.5, progress=1.0)["loss"].backward()
        for parameter in self.distiller.student.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.requires_grad_(False)
        self.distiller.zero_grad()
        for name, buffer in self.distiller.named_buffers():  # an objective's state: this pass was no training
            buffer.copy_(state[name])

    # ---- one step ----

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows: Any = self.train_dataset
        anew = isinstance(rows, Augmented)
        lengths = rows.lengths if anew else rows["length"]
        size = self.settings.batch_size * self.args.world_size
        seed, settings = stream(self.seed, self.stage, "order"), self.settings
        return LengthGroupedSampler(
            lengths, size, *seed, grouped=settings.grouped, drop_last=settings.drop_last, anew=anew
        )

    def lam(self, step: int) -> float | None:
        """Return the interpolation weight of an optimiser step."""
        if not self.distiller.recipe.interpolates:
            return None
        return draw_lambda(*stream(self.seed, self.stage, "lambda", step))

    def progress(self, step: int) -> float:
        """Return the share of the stage that is done at optimiser step 0, 1, ...: 0 at the first, 1 at the last."""
        return step / max(1, self.state.max_steps - 1)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """Fetch the step's micro-batches, and count every term over all of them and all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._micro = 0
        if num_batches == 1 and self.args.world_size == 1:
            return batches, None
        lam = self.lam(self.state.global_step)
        counts = [self.distiller.counts(batch, lam) for batch in batches]
        totals = {k: sum(c[k] for c in counts).to(device) for k in counts[0]}  # type: ignore[union-attr]
        if self.args.world_size > 1:
            totals = self.accelerator.reduce(totals, "sum")
            # DistributedDataParallel averages gradients over processes: undo it.
            totals = {k: n / self.args.world_size for k, n in totals.items()}
        return batches, totals

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Run the distiller on one micro-batch and note its terms."""
        step = self.state.global_step
        seeds = np.random.SeedSequence(
            stream(self.seed, self.stage, "dropout", step, self._micro, self.args.process_index)
        )
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0] >> 1))
        self._micro += 1
        lam, progress = self.lam(step), self.progress(step)
        output = model(inputs, lam=lam, progress=progress, totals=num_items_in_batch)
        self._note(step, lam, progress, output)
        return (output["loss"], output) if return_outputs else output["loss"]

    # ---- log ----

    def _note(self, step: int, lam: float | None, progress: float, output: dict[str, Any]) -> None:
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

    def flush(self) -> None:
        """Write the pending steps to ``steps.jsonl``: every term by name, value and weight."""
        pending, self.pending = self.pending, []
        if not pending or not self.is_world_process_zero():
            return
        with (StageFolder(self.folder).steps).open("a") as log:
            for entry in pending:
                sums, weights = entry.pop("sums"), entry.pop("weights")
                terms = {}
                numbers = {name: pair.tolist() for name, pair in sums.items()}
                for name, (total, count) in numbers.items():
                    terms[name] = {"value": total / max(count, 1), "weight": weights[name], "count": count}
                self._add_to_epoch(numbers)
                loss = sum(t["value"] * t["weight"] for t in terms.values())
                print(json.dumps({**entry, "loss": loss, "terms": terms}), file=log)

    def _add_to_epoch(self, sums: dict[str, tuple[float, float]]) -> None:
        for name, (total, count) in sums.items():
            before = self.epoch_terms.get(name, (0.0, 0.0))
            self.epoch_terms[name] = (before[0] + total, before[1] + count)

    # ---- held-out evaluation ----

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure every term, and the score where the stage has one, on the held-out split; keep the best student.

        Interpolation weights and partners are the same at every evaluation, so values can be compared. All passes are
        in fp32, whatever precision training runs in.
        """
        self.flush()
        rows = self.held_out
        sums: dict[str, Tensor] = {}
        logits = None
        self.distiller.eval()
        for number, (chosen, unplaced) in enumerate(batches_by_length(rows, self.data_collator, 64)):
            batch = self._prepare_inputs(unplaced)
            lam = self.lam(-number - 1 + 2**31)
            with torch.no_grad():  # the class's own method: the trainer wraps the module's in autocast under bf16
                output = Distiller.forward(self.distiller, batch, lam=lam, progress=1.0)
            add_terms(sums, output["terms"])
            if output["logits"] is not None:
                values = output["logits"].float().cpu().numpy()
                logits = np.zeros((len(rows), values.shape[-1]), np.float32) if logits is None else logits
                logits[chosen] = values
        held_out = {name: float(pair[0] / pair[1].clamp(min=1)) for name, pair in sums.items()}
        entry: dict[str, Any] = {
            "stage": self.stage,
            "step": self.state.global_step,
            "epoch": round(self.state.epoch or 0.0, 4),
            "train": {name: total / max(count, 1) for name, (total, count) in self.epoch_terms.items()},
            "held_out": held_out,
        }
        self.epoch_terms = {}
        if self.score is not None and logits is not None and self.state.global_step:
            entry["score"] = self.score(logits)
            if self.watch is not None:
                entry["validation"] = self.watch(self.distiller.student)
            # Of equals the later one: a small selection split often ties, and the later student has learned more.
            best = self.state.best_metric is None or entry["score"] >= self.state.best_metric
            if best and self.settings.keep == "best":
                self.state.best_metric = entry["score"]
                self.kept = self.weights()
        if self.is_world_process_zero():
            with (StageFolder(self.folder).history).open("a") as log:
                print(json.dumps(entry), file=log)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, entry)
        return held_out

    # ---- the weights to end with ----

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the student's weights as they are now."""
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

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.contiguous() for k, v in self.distiller.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        if self.kept is not None:
            save_file(self.kept, folder / "kept.safetensors", metadata={"format": "pt"})

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint under another name and rename it when it is complete."""
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self.args.output_dir = str(self.folder / INCOMPLETE)
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir = str(self.folder)
        if self.is_world_process_zero():
            older = [path for path in self.checkpoints() if path.name != name]
            os.replace(self.folder / INCOMPLETE / name, self.folder / name)
            self.remove(older)


def out_of_memory(stage: str, settings: StageSettings) -> str:
    """Return what to do where a stage's micro-batches do not fit into the device's memory."""
    size, parts = settings.batch_size, settings.accumulation
    more = next((n for n in range(parts + 1, size + 1) if size % n == 0), None)
    cure = f"add --accumulation {more} (the same steps, {size // more} rows at a time)" if more else "use the CPU"
    return (
        f"stage {stage}: out of GPU memory at batch size {size} ({size // parts} rows at a time): {cure}, or lower "
        "--max-length"
    )


def add_terms(sums: dict[str, Tensor], terms: dict[str, Term]) -> None:
    """Add a batch's terms to the running (sum, count) of each, on the device and without waiting for it."""
    for name, (total, count) in terms.items():
        pair = torch.stack([total, count.to(total.dtype)])
        sums[name] = sums[name] + pair if name in sums else pair


def trim_log(path: Path, step: int) -> list[dict[str, Any]]:
    """Drop the lines of a log that are later than ``step``, for a resumed stage writes them again; return the rest."""
    if not path.exists():
        return []
    kept = []
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # a line that was cut off when the run was killed
            break
        if entry["step"] <= step:
            kept.append(entry)
    write_whole(path, "".join(json.dumps(entry) + "\n" for entry in kept))
    return kept
