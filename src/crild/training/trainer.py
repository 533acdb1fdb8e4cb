"""`DistillerTrainer`: the stock `transformers.Trainer` with exact term means, every term logged, bit-exact resume."""

import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import EvalPrediction, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PredictionOutput, TrainOutput, speed_metrics

from crild.data.batching import Collator, LengthGroupedSampler, batches_by_length
from crild.inference import predict
from crild.models.interpolation import draw_lambda
from crild.objectives import Term
from crild.training.arguments import StageArguments
from crild.training.distiller import Distiller

BESIDE = "distiller.safetensors"  # of a checkpoint: what the student's own file does not hold
STUDENT = "student."


def stream(*parts: int | str) -> tuple[int, ...]:
    """Return a seed for the random stream named by ``parts``, for instance (seed, stage, step)."""
    return tuple(zlib.crc32(p.encode()) if isinstance(p, str) else p for p in parts)


class _Hooks(TrainerCallback):
    """What a distiller has to do before every epoch and after every optimiser step."""

    def __init__(self, trainer: "DistillerTrainer") -> None:
        self.trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        trainer, epoch = self.trainer, int((state.epoch or 0.0) + 1e-6)
        trainer.distiller.start_epoch(*stream(trainer.seed, trainer.stage, "layers", epoch))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.trainer.distiller.after_step()


class DistillerTrainer(Trainer):
    """Train a `Distiller` for one stage.

    Every random choice is a function of (seed, stage, step or epoch): dropout is re-seeded at each step, the order of
    rows and the interpolation weight have streams of their own. So a run that was killed and started again ends with
    the same weights as one that ran through.

    Every term is in the log under its own name (``hidden``, ``consistency/hidden``, ``kd``, ...), as the mean since the
    last entry; those of held-out rows as ``eval_hidden`` and so on. What is saved is the student alone, as
    `from_pretrained` loads it; a checkpoint has the objective's state and the moving average beside it.

    Args:
        distiller: what to train.
        args: how.
        stage: its name; part of every random stream.
        train_dataset: tokenised rows (``input_ids``, ``attention_mask``, ``labels``, ``length``, perhaps
            ``teacher_logits``).
        eval_dataset: held-out rows, tokenised alike, or several by name.
        collator: pads them.
        options: further arguments of `transformers.Trainer`.
    """

    def __init__(
        self,
        distiller: Distiller,
        args: StageArguments,
        stage: str,
        train_dataset: Any,
        eval_dataset: Any,
        collator: Collator,
        callbacks: list[TrainerCallback] | None = None,
        **options: Any,
    ) -> None:
        self.distiller, self.stage, self.seed = distiller, stage, args.seed
        self.unlogged: dict[str, Tensor] = {}  # (sum, count) of each term since the last entry of the log
        self._micro = 0
        args._n_gpu = min(args.n_gpu, 1)  # one device a process
        args.remove_unused_columns = False  # the collator takes what it knows
        super().__init__(
            model=distiller,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            data_collator=collator,
            callbacks=[_Hooks(self), *(callbacks or [])],
            **options,
        )
        self.loss_is_scaled_for_ga = True
        distiller.move_teacher(args.device)

    @property
    def student(self) -> Any:
        """The model that learns."""
        return self.distiller.student

    def train(self, *args: Any, **options: Any) -> TrainOutput:
        """Train the stage; see `transformers.Trainer.train`."""
        unreachable = self.freeze_unreachable()
        try:
            return super().train(*args, **options)
        finally:
            for parameter in unreachable:
                parameter.requires_grad_(True)

    def freeze_unreachable(self) -> list[nn.Parameter]:
        """Freeze the student's parameters that no term of this stage depends on, found by one backward pass.

        In stage 1 that is the head; under Q/K/V features of the last layer also what follows them.

        Returns:
            Those that were frozen.
        """
        rows: Any = self.train_dataset
        batch = self._prepare_inputs(self.data_collator([rows[i] for i in range(min(2, len(rows)))]))
        state = {name: x.clone() for name, x in self.distiller.named_buffers()}
        self.distiller.train()
        self.distiller(batch, lam=0.5, progress=1.0)["loss"].backward()
        learns = [p for p in self.student.parameters() if p.requires_grad]
        unreachable = [parameter for parameter in learns if parameter.grad is None]
        for parameter in unreachable:
            parameter.requires_grad_(False)
        self.distiller.zero_grad()
        for name, buffer in self.distiller.named_buffers():  # an objective's state: this pass was no training
            buffer.copy_(state[name])
        return unreachable

    # ---- one step ----

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        strategy = self.args.train_sampling_strategy
        rows: Any = self.train_dataset
        if strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        grouped = strategy == "group_by_length"
        return self.sampler(rows["length"][:], grouped=grouped, drop_last=self.args.dataloader_drop_last)

    def sampler(self, lengths: Any, **how: bool) -> LengthGroupedSampler:
        """Return the stage's order of rows; ``how`` as in `LengthGroupedSampler`."""
        args = self.args
        size = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        return LengthGroupedSampler(lengths, size, *stream(self.seed, self.stage, "order"), **how)

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
        self.note(step, lam, progress, output)
        return (output["loss"], output) if return_outputs else output["loss"]

    # ---- log ----

    def note(self, step: int, lam: float | None, progress: float, output: dict[str, Any]) -> None:
        """Note a micro-batch's terms for the log."""
        add_terms(self.unlogged, output["terms"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with every term's mean over the steps since the last entry where the training loss is logged."""
        if "loss" in logs:
            sums, self.unlogged = self.unlogged, {}
            if self.args.world_size > 1:
                sums = self.accelerator.reduce(sums, "sum")
            logs |= means(sums)
        super().log(logs, start_time)

    # ---- held-out rows ----

    def prepared(self, dataset: Any, which: str = "eval_dataset") -> Dataset:
        """Return rows as the collator takes them."""
        return dataset

    @torch.no_grad()
    def measure(self, rows: Dataset) -> tuple[dict[str, float], float, np.ndarray | None]:
        """Return every term on ``rows``, their weighted sum, and the student's logits where a term looks at them.

        Interpolation weights and partners are the same at every call, weights are those of the stage's end, and all
        passes are in fp32, whatever precision training runs in: so values can be compared. Every process measures all
        rows.
        """
        sums: dict[str, Tensor] = {}
        weights: dict[str, float] = {}
        logits = None
        # The class's own method: the trainer wraps the module's in autocast under bf16. A sharded module needs its own.
        run = self.model_wrapped if self.is_fsdp_enabled else lambda *a, **k: Distiller.forward(self.distiller, *a, **k)
        training = self.distiller.training
        self.distiller.eval()
        size = self.args.per_device_eval_batch_size
        for number, (chosen, unplaced) in enumerate(batches_by_length(rows, self.data_collator, size)):
            output = run(self._prepare_inputs(unplaced), lam=self.lam(-number - 1 + 2**31), progress=1.0)
            add_terms(sums, output["terms"])
            weights |= output["weights"]
            if output["logits"] is not None:
                values = output["logits"].float().cpu().numpy()
                logits = np.zeros((len(rows), values.shape[-1]), np.float32) if logits is None else logits
                logits[chosen] = values
        self.distiller.train(training)
        terms = means(sums)
        return terms, sum(weights[name] * value for name, value in terms.items()), logits

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return and log every term on held-out rows, their weighted sum as ``eval_loss``, and `compute_metrics`.

        Metrics are of labelled rows.
        """
        chosen = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(chosen, str):
            chosen, metric_key_prefix = self.eval_dataset[chosen], f"{metric_key_prefix}_{chosen}"  # type: ignore[index]
        if isinstance(chosen, dict):
            found: dict[str, float] = {}
            for name, rows in chosen.items():
                found |= self.evaluate(rows, ignore_keys, f"{metric_key_prefix}_{name}")
            return found
        start, rows = time.time(), self.prepared(chosen)
        terms, loss, logits = self.measure(rows)
        metrics = {"loss": loss} | terms
        if self.compute_metrics is not None:
            metrics |= self.metrics_of(rows, self.logits(rows) if logits is None else logits)
        metrics = {f"{metric_key_prefix}_{name}": float(value) for name, value in metrics.items()}
        metrics |= speed_metrics(metric_key_prefix, start, num_samples=len(rows))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: list[str] | None = None, metric_key_prefix: str = "test"
    ) -> PredictionOutput:
        """Return the student's logits (rows, C), in fp32, with the labels and `compute_metrics` of labelled rows."""
        rows = self.prepared(test_dataset, "test_dataset")
        logits = self.logits(rows)
        metrics = {}
        if self.compute_metrics is not None:
            metrics = {f"{metric_key_prefix}_{k}": float(v) for k, v in self.metrics_of(rows, logits).items()}
        return PredictionOutput(predictions=logits, label_ids=np.array(rows["labels"][:]), metrics=metrics)

    def logits(self, rows: Dataset) -> np.ndarray:
        """Return the student's logits (rows, C) on plain inputs."""
        collator: Any = self.data_collator
        return predict(self.student, rows, collator.tokenizer, self.args.per_device_eval_batch_size)

    def metrics_of(self, rows: Dataset, logits: np.ndarray) -> dict[str, float]:
        """Return `compute_metrics` of the labelled rows; nothing where there are none."""
        labels: list[Any] = rows["labels"][:]
        known = [i for i, label in enumerate(labels) if label is not None]
        if not known or self.compute_metrics is None:
            return {}
        return self.compute_metrics(EvalPrediction(logits[known], np.array([labels[i] for i in known])))

    # ---- files ----

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        if state_dict is not None:  # gathered from a sharded distiller
            state_dict = {k.removeprefix(STUDENT): v for k, v in state_dict.items() if k.startswith(STUDENT)}
        self.student.save_pretrained(folder, state_dict=state_dict)
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)
        torch.save(self.args, folder / "training_args.bin")

    def beside(self) -> dict[str, Tensor]:
        """Return the tensors of a checkpoint that are not the student's: of the objective and the moving average."""
        return {k: v for k, v in self.distiller.state_dict().items() if not k.startswith(STUDENT)}

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save and not self.is_fsdp_enabled:
            state = {name: tensor.contiguous() for name, tensor in self.beside().items()}
            save_file(state, Path(output_dir) / BESIDE, metadata={"format": "pt"})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        folder, student = Path(resume_from_checkpoint), self.student
        saved = type(student).from_pretrained(folder, dtype=student.dtype, use_safetensors=True).state_dict()
        student.load_state_dict(saved)
        if (folder / BESIDE).exists():  # not where the model alone was to be saved
            self.load_beside(load_file(folder / BESIDE))

    def load_beside(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors that `beside` gave."""
        found = self.distiller.load_state_dict(tensors, strict=False)
        assert not found.unexpected_keys, found.unexpected_keys

    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled:
            super()._load_best_model()
        else:
            assert self.state.best_model_checkpoint is not None
            self._load_from_checkpoint(self.state.best_model_checkpoint)


def add_terms(sums: dict[str, Tensor], terms: dict[str, Term]) -> None:
    """Add a batch's terms to the running (sum, count) of each, on the device and without waiting for it."""
    for name, (total, count) in terms.items():
        pair = torch.stack([total, count.to(total.dtype)])
        sums[name] = sums[name] + pair if name in sums else pair


def means(sums: dict[str, Tensor]) -> dict[str, float]:
    """Return each term's mean; 0 where nothing was counted."""
    return {name: float(pair[0] / pair[1].clamp(min=1)) for name, pair in sums.items()}
