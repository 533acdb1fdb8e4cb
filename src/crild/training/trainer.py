"""`DistillerTrainer`: the stock `transformers.Trainer` with exact term means, every term logged, bit-exact resume."""

import os
import time
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import DistributedType, PartialState
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.utils.data import DataLoader
from transformers import EvalPrediction, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PredictionOutput, TrainOutput, speed_metrics

from crild import processes
from crild.data.augment import Augmented
from crild.data.batching import Collator, LengthGroupedSampler, StepBatches, batches_by_length
from crild.data.rows import column
from crild.errors import CrildError
from crild.inference import predict
from crild.models.interpolation import draw_lambda
from crild.objectives import Term
from crild.training.arguments import StageArguments
from crild.training.distiller import Distiller
from crild.training.terms import STAND_IN

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
        trainer.trained.start_epoch(*stream(trainer.seed, trainer.stage, "layers", epoch))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.trainer.trained.after_step()


class DistillerTrainer(Trainer):
    """Train a `Distiller` for one stage.

    Every random choice is a function of (seed, stage, step or epoch): dropout is re-seeded at each step, the order of
    rows and the interpolation weight have streams of their own. So a run that was killed and started again ends with
    the same weights as one that ran through.

    The rows of a step are the same however many micro-batches and processes share them, terms are divided by their
    counts over all of these, and whoever is mixed with whom shares one. So the division changes nothing but the masks
    of dropout, which are drawn for each micro-batch of each process.

    Where parameters are sharded (FSDP), a twin of the distiller is: the distiller itself stays whole, and has the
    twin's weights after training and wherever they are saved or asked for answers.

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
        if args.ddp_find_unused_parameters is None:
            args.ddp_find_unused_parameters = False  # what is out of reach is frozen
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
        self.trained = distiller
        if self.is_fsdp_enabled:
            self.trained = deepcopy(distiller)
            self.model = self.model_wrapped = self.trained
            distiller.to(args.device)
        distiller.move_teacher(args.device)

    @property
    def student(self) -> Any:
        """The model that learns."""
        return self.distiller.student

    def train(self, *args: Any, **options: Any) -> TrainOutput:
        """Train the stage; see `transformers.Trainer.train`."""
        unreachable = self.freeze_unreachable()
        if self.is_fsdp_enabled:
            self.distribute()
        try:
            output = super().train(*args, **options)
            self.collect()
            return output
        finally:
            for parameter in unreachable:
                parameter.requires_grad_(True)

    def create_accelerator_and_postprocess(self) -> None:
        """Create the accelerator; it shards parameters on a CPU as well, and keeps them in full precision.

        Raises:
            CrildError: parameters are to be sharded in a way that does not go with several passes a step.
        """
        state = self.args.distributed_state
        if state is not None and state.distributed_type == DistributedType.MULTI_CPU and is_sharded(self.args):
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU  # or accelerate passes it over
        super().create_accelerator_and_postprocess()
        if self.is_fsdp_enabled:
            plugin = self.accelerator.state.fsdp_plugin
            if plugin.fsdp_version != 2:
                raise CrildError("FSDP version 1 is not supported: use accelerate launch --use_fsdp --fsdp_version 2")
            plugin.cpu_ram_efficient_loading = False
            plugin.mixed_precision_policy = None  # passes run in autocast, as everywhere else
        if self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3:
            raise CrildError("DeepSpeed's ZeRO stage 3 is not supported: use stage 2, or FSDP")

    def distribute(self) -> None:
        """Give the twin that is sharded the distiller's weights, and what of them is frozen."""
        learns = {name: p.requires_grad for name, p in self.distiller.named_parameters()}
        for name, parameter in self.trained.named_parameters():
            parameter.requires_grad_(learns[name])
        set_model_state_dict(self.trained, self.distiller.state_dict(), options=StateDictOptions(full_state_dict=True))

    def collect(self) -> None:
        """Give the distiller the weights of the twin that is sharded; every process has to call it."""
        if self.is_fsdp_enabled:
            whole = get_model_state_dict(self.trained, options=StateDictOptions(full_state_dict=True))
            self.distiller.load_state_dict(whole)

    def freeze_unreachable(self) -> list[nn.Parameter]:
        """Freeze the parameters that no term of this stage depends on, found by one backward pass.

        In stage 1 that is the head; under Q/K/V features of the last layer also what follows them.

        Returns:
            Those that were frozen.
        """
        rows: Any = self.train_dataset
        batch = self._prepare_inputs(self.data_collator([rows[i] for i in range(min(2, len(rows)))]))
        state = {name: x.clone() for name, x in self.distiller.named_buffers()}
        self.distiller.train()
        self.distiller(batch, lam=0.5, progress=1.0)["loss"].backward()
        learns = [p for p in self.distiller.parameters() if p.requires_grad]
        unreachable = [parameter for parameter in learns if parameter.grad is None]
        for parameter in unreachable:
            parameter.requires_grad_(False)
        self.distiller.zero_grad()
        for name, buffer in self.distiller.named_buffers():  # an objective's state: this pass was no training
            buffer.copy_(state[name])
        return unreachable

    # ---- one step ----

    @property
    def step_size(self) -> int:
        """Rows of an optimiser step, over all micro-batches and processes."""
        return self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size

    def get_train_dataloader(self) -> DataLoader:
        """Return this process's micro-batches; the stock ones repeat rows where processes do not share them evenly."""
        args, rows, recipe = self.args, self.train_dataset, self.distiller.recipe
        self.batches = StepBatches(
            self._get_train_sampler(),
            self.step_size,
            args.gradient_accumulation_steps,
            recipe.partners if recipe.interpolates else None,
            args.process_index,
            args.world_size,
        )
        loader: DataLoader = DataLoader(
            rows,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
        )
        return prepare_data_loader(loader, args.device, num_processes=1, process_index=0, put_on_device=True)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        strategy = self.args.train_sampling_strategy
        if strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        grouped = strategy == "group_by_length"
        return self.sampler(grouped=grouped, drop_last=self.args.dataloader_drop_last)

    def sampler(self, **how: bool) -> LengthGroupedSampler:
        """Return the stage's order of rows; ``how`` as in `LengthGroupedSampler`."""
        rows: Any = self.train_dataset
        lengths = rows if isinstance(rows, Augmented) else column(rows, "length").to_numpy()
        return LengthGroupedSampler(lengths, self.step_size, *stream(self.seed, self.stage, "order"), **how)

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
        counted = self.batches.counted(self.state.global_step % self.batches.steps)
        batches = [x if counts else {**x, STAND_IN: True} for x, counts in zip(batches, counted, strict=True)]
        self._micro = 0
        if num_batches == 1 and self.args.world_size == 1:
            return batches, None
        lam = self.lam(self.state.global_step)
        counts = [self.distiller.counts(batch, lam) for batch in batches]
        return batches, everywhere({k: sum(c[k] for c in counts).to(device) for k in counts[0]})  # type: ignore[union-attr]

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
        loss = output["loss"] * self.args.world_size  # gradients are averaged over processes: the mean of these, a sum
        return (loss, output) if return_outputs else loss

    # ---- log ----

    def note(self, step: int, lam: float | None, progress: float, output: dict[str, Any]) -> None:
        """Note a micro-batch's terms for the log."""
        add_terms(self.unlogged, output["terms"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with every term's mean over the steps since the last entry where the training loss is logged."""
        if "loss" in logs:
            sums, self.unlogged = self.unlogged, {}
            logs |= means(everywhere(sums))
        super().log(logs, start_time)

    # ---- held-out rows ----

    def prepared(self, dataset: Any, which: str = "eval_dataset") -> Dataset:
        """Return rows as the collator takes them."""
        return dataset

    @torch.no_grad()
    def measure(self, rows: Dataset) -> tuple[dict[str, float], float, np.ndarray | None]:
        """Return every term on ``rows``, their weighted sum, and the student's logits where a term looks at them.

        Interpolation weights and partners are the same at every call, weights are those of the stage's end, and all
        passes are in fp32, whatever precision training runs in: so values can be compared. Every process measures a
        part of the batches, and all of them get what all have found.
        """
        sums: dict[str, Tensor] = {}
        weights: dict[str, float] = {}
        answers: list[tuple[np.ndarray, np.ndarray]] = []
        # The class's own method: the trainer wraps the module's in autocast under bf16. A sharded module needs its own.
        run = self.model_wrapped if self.is_fsdp_enabled else lambda *a, **k: Distiller.forward(self.distiller, *a, **k)
        training = self.trained.training
        self.trained.eval()
        size = self.args.per_device_eval_batch_size
        numbers = list(processes.share(every := range(-(-len(rows) // size))))
        own = len(numbers)
        if self.is_fsdp_enabled and own < -(-len(every) // processes.count()):  # every process takes part in every pass
            numbers.append(0)
        for number, (chosen, unplaced) in zip(
            numbers, batches_by_length(rows, self.data_collator, size, numbers), strict=True
        ):
            output = run(self._prepare_inputs(unplaced), lam=self.lam(-number - 1 + 2**31), progress=1.0)
            if own == 0:
                continue
            own -= 1
            add_terms(sums, output["terms"])
            weights |= output["weights"]
            if output["logits"] is not None:
                answers.append((chosen, output["logits"].float().cpu().numpy()))
        self.trained.train(training)
        parts = processes.gathered(({name: pair.tolist() for name, pair in sums.items()}, weights, answers))
        weights = next((found for _, found, _ in parts if found), {})
        terms = {name: ratio(*(sum(of[name][i] for of, _, _ in parts if of) for i in (0, 1))) for name in weights}
        logits = None
        for chosen, values in (each for _, _, part in parts for each in part):
            logits = np.zeros((len(rows), values.shape[-1]), np.float32) if logits is None else logits
            logits[chosen] = values
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
        self.collect()
        collator: Any = self.data_collator
        return predict(self.student, rows, collator.tokenizer, self.args.per_device_eval_batch_size, together=True)

    def metrics_of(self, rows: Dataset, logits: np.ndarray) -> dict[str, float]:
        """Return `compute_metrics` of the labelled rows; nothing where there are none."""
        labels: list[Any] = rows["labels"][:]
        known = [i for i, label in enumerate(labels) if label is not None]
        if not known or self.compute_metrics is None:
            return {}
        return self.compute_metrics(EvalPrediction(logits[known], np.array([labels[i] for i in known])))

    # ---- files ----

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student, so that `from_pretrained` loads it; every process has to call it."""
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)
            return
        self.collect()
        self._save(output_dir)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        if state_dict is not None:  # gathered by DeepSpeed
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
        if self.args.should_save:
            state = {name: tensor.contiguous() for name, tensor in self.beside().items()}
            save_file(state, Path(output_dir) / BESIDE, metadata={"format": "pt"})

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            folder = Path(checkpoint)
            whole, sharded = ((folder / name).exists() for name in ("optimizer.pt", "optimizer_0"))
            if whole if self.is_fsdp_enabled else sharded:  # it would start without the optimiser's moments
                raise CrildError(f"{folder} was written with{'out' if whole else ''} FSDP: go on as it was begun, or "
                                 "delete it")  # fmt: skip
            if self.is_deepspeed_enabled and (folder / BESIDE).exists():  # it has loaded the weights itself
                self.load_beside(load_file(folder / BESIDE))
        super()._load_optimizer_and_scheduler(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder, student = Path(resume_from_checkpoint), self.student
        saved = type(student).from_pretrained(folder, dtype=student.dtype, use_safetensors=True).state_dict()
        student.load_state_dict(saved)
        if (folder / BESIDE).exists():  # not where the model alone was to be saved
            self.load_beside(load_file(folder / BESIDE))
        if self.is_fsdp_enabled:
            self.distribute()

    def load_beside(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors that `beside` gave."""
        found = self.distiller.load_state_dict(tensors, strict=False)
        assert not found.unexpected_keys, found.unexpected_keys

    def _load_best_model(self) -> None:
        assert self.state.best_model_checkpoint is not None
        self._load_from_checkpoint(self.state.best_model_checkpoint)


def is_sharded(args: TrainingArguments) -> bool:
    """Whether parameters are to be sharded: as the arguments say, or `accelerate launch --use_fsdp`."""
    return args.fsdp_plugin_args is not None or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def add_terms(sums: dict[str, Tensor], terms: dict[str, Term]) -> None:
    """Add a batch's terms to the running (sum, count) of each, on the device and without waiting for it."""
    for name, (total, count) in terms.items():
        pair = torch.stack([total, count.to(total.dtype)])
        sums[name] = sums[name] + pair if name in sums else pair


def everywhere(numbers: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the sum over processes of tensors of one shape, in one message."""
    if processes.count() == 1 or not numbers:
        return numbers
    summed = processes.total(torch.stack([x.double() for x in numbers.values()])).float()
    return dict(zip(numbers, summed, strict=True))


def means(sums: dict[str, Tensor]) -> dict[str, float]:
    """Return each term's mean; 0 where nothing was counted."""
    return {name: ratio(*pair.tolist()) for name, pair in sums.items()}


def ratio(summed: float, counted: float) -> float:
    """Return a term's mean; 0 where nothing was counted."""
    return summed / max(counted, 1)
