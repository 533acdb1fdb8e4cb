"""How hard each term of a method's own stage pulls at step 0: gradient norms, and gradients beside Adam's epsilon.

The demo's encoder (6 layers x 384, its head drawn anew) teaches its first 3 layers on one batch of real tweets, in
training mode. `BEFORE` holds what four methods matched until their parts were balanced, so one command gives both.

    python benchmarks/gradient_norms.py [--output benchmarks/results/gradient_norms.json]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from crild.config import DistillConfig
from crild.console import quiet_libraries
from crild.data.batching import Collator
from crild.data.tokenise import tokenise
from crild.data.tweets import encoder, read_tweets
from crild.methods import METHODS, Method
from crild.models import loading
from crild.models.cut import cut
from crild.objectives import Shape, compose
from crild.run.folder import environment
from crild.run.plan import stage_recipe
from crild.tasks.registry import TASK_TYPES
from crild.training.distiller import Distiller
from crild.training.terms import TERMS

SEED, ROWS, LAYERS = 42, 32, [0, 1, 2]
LABELS = ["negative", "neutral", "positive"]
EPSILON = 1e-8  # of AdamW, where a recipe names none
CLIP = 1.0  # the trainer's max_grad_norm
BEFORE = {
    "pkd": "pkd",
    "tinybert": "embeddings+hidden+attention-mse",
    "bert-emd": "hidden+attention-mse",
    "cr-ild-as-released": "relations",
}


def measure(method: Method, matches: str, epsilon: float | None, teacher: Any, batch: dict[str, Tensor]) -> dict:
    """Return the norms of one method's terms, each with weight 1 and as weighted, and the whole beside epsilon.

    Args:
        method: whose own stage is measured.
        matches: what is matched.
        epsilon: Adam's; ``None`` takes the recipe's.
        teacher: the model to learn from, and to cut the student from.
        batch: of `ROWS` rows.
    """
    student = cut(teacher, LAYERS)
    torch.manual_seed(SEED)
    objective = compose(matches, method.layer_map, Shape.of(student.config), Shape.of(teacher.config))
    phase = next(p for p in method.two_stage if p.recipe.intermediate_weight)
    recipe = stage_recipe(phase.recipe, DistillConfig(method=method.name), method)
    distiller = Distiller(student, recipe, teacher, objective).train()
    parameters = list(student.parameters())

    def gradient(term: str | None) -> tuple[float, Tensor, float]:
        """Return norm, gradient and weight of one term, or of all together."""
        torch.manual_seed(SEED)  # the same dropout for every term
        distiller.zero_grad()
        state = {name: buffer.clone() for name, buffer in distiller.named_buffers()}
        step = distiller.step(batch, lam=0.7)
        acting = [each for each in TERMS if each.acts(step)]
        values = {name: total / count for each in acting for name, (total, count) in each.value(step).items()}
        weights = {k: w for each in acting for k, w in each.weights(recipe, 0.0, objective.weights).items()}
        loss = sum(weights[name] * value for name, value in values.items()) if term is None else values[term]
        loss.backward()
        for name, buffer in distiller.named_buffers():
            buffer.copy_(state[name])
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        return float(flat.norm()), flat, weights.get(term, 1.0)

    norms = {}
    for term in distiller.counts(batch, 0.7):
        norm, _, weight = gradient(term)
        norms[term] = {"norm": rounded(norm), "weight": rounded(weight), "weighted": rounded(norm * weight)}
    total, flat, _ = gradient(None)
    clipped = flat.abs() * min(1.0, CLIP / max(total, 1e-30))
    reached = clipped[clipped > 0]
    small = epsilon if epsilon is not None else recipe.adam_epsilon
    return {
        "matches": matches,
        "terms": norms,
        "total": rounded(total),
        "adam_epsilon": small,
        "median_gradient": rounded(float(reached.median())),
        "median_over_epsilon": rounded(float(reached.median()) / small),
        "share_below_10_epsilon": round(float((reached < 10 * small).float().mean()), 4),
    }


def rounded(number: float) -> float:
    """Return a number to three significant digits."""
    return float(f"{number:.3g}")


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    out = [
        "# Gradient norms at step 0",
        "",
        "Written by `python benchmarks/gradient_norms.py`. The demo's encoder (6 layers x 384, a fresh head) teaches "
        f"its first 3 layers on {ROWS} tweets in training mode, seed {SEED}, `lam` 0.7. *Norm*: of the student's "
        "gradient of a term with weight 1; *as weighted*: times its weight in the method. *Median over epsilon*: the "
        f"median gradient of a reached parameter, after clipping at {CLIP:g}, over Adam's epsilon: near 1 or below, "
        "the first steps are shorter than the learning rate says.",
    ]
    for title, part in (("As it is", "after"), ("Before the parts were balanced", "before")):
        out += ["", f"## {title}", "", "| method | matches | term | norm | weight | as weighted | epsilon | "
                "median over epsilon | below 10 epsilon |", "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for name, each in result[part].items():
            whole = (f"{each['adam_epsilon']:g}", f"{each['median_over_epsilon']:g}",
                     f"{100 * each['share_below_10_epsilon']:.1f} %")  # fmt: skip
            for number, (term, norm) in enumerate(each["terms"].items()):
                first = number == 0
                numbers = [f"{norm[key]:g}" for key in ("norm", "weight", "weighted")]
                names = (name, each["matches"]) if first else ("", "")
                cells = (*names, term, *numbers, *(whole if first else ("", "", "")))
                out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="benchmarks/results/gradient_norms.json")
    options = parser.parse_args()
    quiet_libraries()
    name = str(encoder())
    torch.manual_seed(SEED)
    teacher, _ = loading.load_model(name, "teacher", TASK_TYPES["classification"].head(LABELS))
    tokenizer = loading.load_tokenizer(name, "teacher")
    tweets = read_tweets()[:ROWS]
    labels = [float(LABELS.index(t.label)) for t in tweets]
    rows = tokenise(Dataset.from_dict({"text": [t.text for t in tweets], "labels": labels}), tokenizer, 128, words=True)

    def measured(matched: dict[str, str], epsilon: float | None) -> dict[str, dict]:
        out = {}
        for name, matches in matched.items():
            batch = Collator(tokenizer, 128 if METHODS[name].released else None)(list(rows))
            out[name] = measure(METHODS[name], matches, epsilon, teacher, batch)
        return out

    own = {m.name: m.matches for m in METHODS.values() if m.matches is not None and m.augment is None}
    result = {
        "after": measured(own, None),
        "before": measured(BEFORE, EPSILON),
        "seed": SEED,
        "rows": ROWS,
        "mean_tokens": round(sum(rows["length"]) / len(rows), 1),
        **environment(),
    }
    path = Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    path.with_suffix(".md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
