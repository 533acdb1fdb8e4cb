"""What a training step of each method's own term costs, as a ratio to a step of plain KD with cached teacher logits.

All methods take turns in one process on the same batches of real tweets: MiniLM with 6 layers teaches its first 3.

    python benchmarks/step_cost.py [--rounds 7] [--output benchmarks/results/step_cost.json]
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from datasets import Dataset
from rich.progress import track

from crild.config import DistillConfig
from crild.console import quiet_libraries
from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.data.tweets import encoder, read_tweets
from crild.methods import METHODS
from crild.models import loading
from crild.models.cut import cut
from crild.objectives import Shape, compose
from crild.run.folder import environment
from crild.run.plan import stage_recipe
from crild.run.start import cpu_has_bf16
from crild.tasks.registry import TASK_TYPES
from crild.training.distiller import Distiller

ROWS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", default="benchmarks/results/step_cost.json")
    options = parser.parse_args()
    quiet_libraries()
    name = str(encoder())
    torch.manual_seed(0)
    teacher, _ = loading.load_model(name, "teacher", TASK_TYPES["classification"].head(["negative", "positive"]))
    tokenizer = loading.load_tokenizer(name, "teacher")
    texts = [tweet.text for tweet in read_tweets()[: ROWS * (options.rounds + 1)]]
    rows = tokenise(Dataset.from_dict({"text": texts, "labels": [0.0] * len(texts)}), tokenizer, 128, words=True)
    rows = rows.add_column("teacher_logits", [[0.0, 1.0]] * len(rows))

    distillers = {}
    for method in METHODS.values():
        if method.augment:  # a step of another method, on other texts
            continue
        student = cut(teacher, [0, 1, 2])
        objective = None
        recipe = stage_recipe(method.two_stage[0].recipe, DistillConfig(method=method.name), method)
        if method.matches is not None:
            shapes = Shape.of(student.config), Shape.of(teacher.config)
            objective = compose(method.matches, method.layer_map, *shapes)
        distillers[method.name] = Distiller(student, recipe, teacher, objective).train()

    precision = "bf16" if cpu_has_bf16() else "fp32"
    seconds: dict[str, list[float]] = {name: [] for name in distillers}
    for number in track(range(options.rounds + 1), description="rounds"):
        chosen = [rows[i] for i in range(number * ROWS, (number + 1) * ROWS)]
        for name, distiller in distillers.items():
            batch = Collator(tokenizer, 128 if METHODS[name].released else None)(chosen)
            start = time.perf_counter()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                loss = distiller(batch, lam=0.7, progress=1.0)["loss"]
            loss.backward()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
            distiller.zero_grad()
    ratios = {
        name: [mine / plain for mine, plain in zip(each, seconds["kd"], strict=True)] for name, each in seconds.items()
    }
    result = {
        "steps": {
            name: {
                "ratio_to_kd": round(statistics.median(each), 2),
                "lowest": round(min(each), 2),
                "highest": round(max(each), 2),
            }
            for name, each in ratios.items()
        },
        "kd_seconds": round(statistics.median(seconds["kd"]), 3),
        "rows_of_a_batch": ROWS,
        "mean_tokens": round(sum(rows["length"]) / len(rows), 1),
        "precision": precision,
        "rounds": options.rounds,
        **environment(),
    }
    Path(options.output).write_text(json.dumps(result, indent=2) + "\n")
    print("| method | step, as a ratio to kd | lowest to highest of the rounds |\n|---|---|---|")
    for name, each in sorted(result["steps"].items(), key=lambda item: item[1]["ratio_to_kd"]):
        print(f"| {name} | {each['ratio_to_kd']:.2f} | {each['lowest']:.2f} to {each['highest']:.2f} |")


if __name__ == "__main__":
    main()
