"""The model card that goes with a student."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData


def write_card(folder: Path, result: dict[str, Any], shared: int, init: str) -> None:
    """Write ``README.md`` into a student's folder.

    Args:
        folder: of the student.
        result: of the run.
        shared: validation rows whose text is also in train.
        init: where the student's weights came from, without a path of this machine.
    """
    student, teacher = result["student"], result["teacher"]
    who = [("teacher", teacher, teacher)]
    if result["control"]:
        who.append(("the same student without a teacher", result["control"], student))
    who.append(("this student", student, student))
    table = [
        {
            "name": name,
            "score": f"{scores['score']:.4f}",
            "interval": "{:.4f} to {:.4f}".format(*scores["interval"]),
            "parameters": f"{cost['parameters'] / 1e6:.1f} M",
        }
        for name, scores, cost in who
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["crild", "knowledge-distillation", result["method"]],
    )
    card = ModelCard.from_template(
        data,
        template_path=str(Path(__file__).with_name("card.md")),
        title={"classification": "Text classifier", "regression": "Text scorer"}.get(result["task"])
        or f"{result['task']} model",
        method=result["method"],
        schedule=result["schedule"],
        features=result["features"],
        layer_map=result["layer_map"],
        metric=result["metric"],
        layers=student["layers"],
        teacher_layers=teacher["layers"],
        parameters=f"{student['parameters'] / 1e6:.1f}",
        teacher_parameters=f"{teacher['parameters'] / 1e6:.1f}",
        table=table,
        validation_rows=result["rows"]["validation"],
        max_length=result["max_length"],
        labels=", ".join(result["labels"]) or "one number",
        init=init,
        shared=shared,
        rows=", ".join(f"{name} {count}" for name, count in result["rows"].items()),
        seed=result["seed"],
    )
    card.save(folder / "README.md")
