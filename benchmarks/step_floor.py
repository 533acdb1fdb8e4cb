"""What crild adds to the passes that CR-ILD needs: its step beside a floor, and the Trainer beside a plain loop.

All take turns in one process on the same batches of real tweets; MiniLM's 6 layers teach its first 3.

* *floor*: the passes of CR-ILD's first stage without any loss: the teacher and the student on interpolated inputs, the
  student on plain ones without gradient, a backward pass from the sum of its last hidden states, and the optimiser. It
  is there twice: where its two times differ by more than 5 %, the machine was not quiet, and the exit code is 3.
* *cr-ild*: the same with capture and every term, as training does it.
* *all layers, padded*: CR-ILD's terms as its authors arrange them: every layer of the student is matched, every batch
  padded to 128 tokens.
* *loop* and *Trainer*: CR-ILD's first stage on the same rows, by twenty lines and by `crild.DistillerTrainer`.

    python -m benchmarks.step_floor [--rounds 40] [--output benchmarks/results/step_floor.json]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from rich.progress import track
from torch import Tensor
from transformers import PreTrainedModel, TrainerCallback

from crild.config import DistillConfig
from crild.console import quiet_libraries
from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.data.tweets import encoder, read_tweets
from crild.files import write_whole
from crild.methods import METHODS
from crild.models import loading
from crild.models.architecture import model_inputs
from crild.models.capture import evaluation_mode
from crild.models.cut import cut
from crild.models.interpolation import Mixing, mixed_embeddings
from crild.objectives import Shape, compose
from crild.run.folder import environment
from crild.run.plan import stage_recipe
from crild.tasks.registry import TASK_TYPES
from crild.training.arguments import StageArguments
from crild.training.distiller import Distiller
from crild.training.trainer import DistillerTrainer

ROWS, PADDED, RATE, CLIP = 32, 128, 1e-4, 1.0
LIMITS = (0.95, 1.05)  # of the floor's time to its own
STEPS, WARM = 30, 5  # of one turn of the Trainer and the loop; the first ones are not timed
FLOOR, TERMS, AUTHORS = "floor", "cr-ild", "all layers, padded"
Step = Callable[[dict[str, Tensor]], None]


def optimiser_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    """Return what the Trainer would take."""
    return torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)


def stepped(loss: Tensor, model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Do all of a step that comes after the loss."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimiser.step()
    optimiser.zero_grad()


def floor(teacher: PreTrainedModel, student: PreTrainedModel) -> Step:
    """Return a step of the passes alone."""
    ours, theirs, optimiser = student.base_model, teacher.base_model, optimiser_of(student.base_model)

    def step(batch: dict[str, Tensor]) -> None:
        mask = batch["attention_mask"]
        mixing = Mixing.of("neighbour", 0.7, len(mask))
        mixed = {**model_inputs(batch, student), "attention_mask": mixing.union(mask)}
        with torch.no_grad(), mixed_embeddings(teacher, mixing, mask):
            theirs(**mixed)
        with mixed_embeddings(student, mixing, mask):
            out = ours(**mixed).last_hidden_state
        with evaluation_mode(student):
            ours(**model_inputs(batch, student))
        stepped(out.float().sum() * 1e-6, ours, optimiser)

    return step


def distiller_of(teacher: PreTrainedModel, layers: str = "last") -> Distiller:
    """Return CR-ILD's first stage, all of whose parameters learn but the head's."""
    method = METHODS["cr-ild"]
    student = cut(teacher, [0, 1, 2])
    assert method.matches is not None
    objective = compose(method.matches, layers, Shape.of(student.config), Shape.of(teacher.config))
    recipe = stage_recipe(method.two_stage[0].recipe, DistillConfig(method=method.name), method)
    return Distiller(student, recipe, teacher, objective).train()


def terms(distiller: Distiller) -> Step:
    """Return a whole step of a distiller."""
    student = distiller.student.base_model
    optimiser = optimiser_of(student)

    def step(batch: dict[str, Tensor]) -> None:
        stepped(distiller(batch, lam=0.7, progress=1.0)["loss"], student, optimiser)

    return step


def timed(step: Step, batch: dict[str, Tensor], precision: str) -> float:
    """Return the seconds of a step; autocast is around all of it, and the backward pass does not look at it."""
    start = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        step(batch)
    return time.perf_counter() - start


def compare_steps(
    teacher: PreTrainedModel, rows: Dataset, collate: Collator, pad: Collator, precision: str, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of every arm, by round."""
    arms = {
        FLOOR: (floor(teacher, cut(teacher, [0, 1, 2]).train()), collate),
        TERMS: (terms(distiller_of(teacher)), collate),
        AUTHORS: (terms(distiller_of(teacher, "uniform")), pad),
        f"{FLOOR}, again": (floor(teacher, cut(teacher, [0, 1, 2]).train()), collate),
    }
    names, seconds = list(arms), {name: [] for name in arms}  # type: ignore[var-annotated]
    for number in track(range(rounds + 1), description=precision):
        chosen = [rows[(number * ROWS + i) % len(rows)] for i in range(ROWS)]
        for name in names[number % len(names) :] + names[: number % len(names)]:  # each is first as often as the others
            step, pads = arms[name]
            found = timed(step, pads(chosen), precision)
            if number:  # the first round warms up
                seconds[name].append(found)
    return seconds


class Watch(TrainerCallback):
    """Notes when the timed steps begin and end."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == WARM:
            self.start = time.perf_counter()
        self.end = time.perf_counter()


def by_trainer(distiller: Distiller, rows: Dataset, collate: Collator, precision: str) -> float:
    """Return the seconds of the timed steps inside `crild.DistillerTrainer`."""
    watch = Watch()
    with TemporaryDirectory() as folder:
        arguments = StageArguments(
            output_dir=folder, per_device_train_batch_size=ROWS, max_steps=STEPS, learning_rate=RATE,
            bf16=precision == "bf16", use_cpu=True, report_to="none", save_strategy="no", logging_steps=10,
            disable_tqdm=True, train_sampling_strategy="sequential",
        )  # fmt: skip
        DistillerTrainer(distiller, arguments, "ild", rows, None, collate, [watch]).train()
    return watch.end - watch.start


def by_loop(distiller: Distiller, rows: Dataset, collate: Collator, precision: str) -> float:
    """Return the seconds of the same steps in a plain loop, with the schedule that the Trainer has."""
    student = distiller.student.base_model
    optimiser, start = optimiser_of(student), 0.0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / STEPS)
    for number in range(STEPS):
        if number == WARM:
            start = time.perf_counter()
        batch = collate([rows[i] for i in range(number * ROWS, (number + 1) * ROWS)])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = distiller(batch, lam=0.7, progress=number / STEPS)["loss"]
        stepped(loss, student, optimiser)
        schedule.step()
    return time.perf_counter() - start


def spread(mine: list[float], others: list[float]) -> dict[str, float]:
    """Return the median ratio of what took turns, and its quartiles."""
    ratios = [one / other for one, other in zip(mine, others, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    medians = statistics.median(mine) / statistics.median(others)
    return {"ratio": round(medians, 3), "low": round(low, 3), "high": round(high, 3)}


def measure(rounds: int, turns: int) -> dict[str, Any]:
    """Return all ratios, by precision."""
    torch.manual_seed(0)
    teacher, _ = loading.load_model(str(encoder()), "teacher", TASK_TYPES["classification"].head(["no", "yes"]))
    tokenizer = loading.load_tokenizer(str(encoder()), "teacher")
    texts = [tweet.text for tweet in read_tweets()[: ROWS * STEPS]]
    rows = tokenise(Dataset.from_dict({"text": texts, "labels": [0.0] * len(texts)}), tokenizer, PADDED)
    collate, pad = Collator(tokenizer), Collator(tokenizer, PADDED)
    found: dict[str, Any] = {}
    for precision in ("fp32", "bf16"):
        seconds = compare_steps(teacher, rows, collate, pad, precision, rounds)
        arms = {name: spread(each, seconds[FLOOR]) for name, each in seconds.items() if name != FLOOR}
        pairs: dict[str, list[float]] = {"loop": [], "Trainer": []}
        for turn in track(range(turns), description=f"Trainer, {precision}"):
            for kind, run in sorted({"loop": by_loop, "Trainer": by_trainer}.items(), reverse=turn % 2 == 1):
                pairs[kind].append(run(distiller_of(teacher), rows, collate, precision))
        found[precision] = {
            "floor_ms": round(1000 * statistics.median(seconds[FLOOR]), 1),
            **arms,
            "authors_to_cr_ild": spread(seconds[AUTHORS], seconds[TERMS]),
            "Trainer_to_loop": spread(pairs["Trainer"], pairs["loop"]),
        }
    return {"mean_tokens": round(sum(rows["length"][:]) / len(rows), 1), "rows_of_a_batch": ROWS, **found}


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    machine = result["machine"]
    lines = [
        "# What crild adds to a training step",
        "",
        f"Written by `python -m benchmarks.step_floor` ({machine['processor']}, {machine['threads']} threads): medians "
        f"of steps that take turns on the same {ROWS} tweets ({result['mean_tokens']} tokens on average), with the "
        "quartiles of the ratios. *Floor*: the passes and the optimiser of CR-ILD's first stage without a loss.",
        "",
        "| ratio | fp32 | bf16 |",
        "| --- | --- | --- |",
    ]
    named = {
        f"{FLOOR}, again": "floor to itself (A/A)",
        TERMS: "`cr-ild` to the floor",
        "authors_to_cr_ild": "every layer matched, padded to 128 tokens, to `cr-ild`",
        "Trainer_to_loop": "`crild.DistillerTrainer` to a plain loop",
    }
    for key, title in named.items():
        cells = [result[precision][key] for precision in ("fp32", "bf16")]
        lines.append(
            f"| {title} | " + " | ".join(f"{c['ratio']:.3f} ({c['low']:.3f} to {c['high']:.3f})" for c in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--turns", type=int, default=5, help="of Trainer and loop")
    parser.add_argument("--output", default="benchmarks/results/step_floor.json")
    options = parser.parse_args()
    quiet_libraries()
    result = measure(options.rounds, options.turns) | environment()
    output = Path(options.output)
    write_whole(output, json.dumps(result, indent=1) + "\n")
    write_whole(output.with_suffix(".md"), markdown(result))
    print(markdown(result))
    controls = [result[precision][f"{FLOOR}, again"]["ratio"] for precision in ("fp32", "bf16")]
    if all(LIMITS[0] <= ratio <= LIMITS[1] for ratio in controls):
        return 0
    print(f"inconclusive: the floor to itself is {controls}: the machine was not quiet", file=sys.stderr)
    return 3


if __name__ == "__main__":
    sys.exit(main())
