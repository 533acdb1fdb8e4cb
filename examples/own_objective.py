"""An objective of your own: what a student's layer should have of its teacher's, in one function.

python examples/own_objective.py
"""

import torch

import crild


@crild.objective("cosine")
def cosine(student, teacher, mask):
    """One minus the cosine of the angle between two states, for each token: (B, L)."""
    return 1 - torch.cosine_similarity(student.hidden, teacher.hidden, dim=-1)


def main(output="runs/own_objective", base="demo", data="demo", **options):
    result = crild.distill(
        teacher=base, data=data, student=3, method="l-ild", features="cosine", layer_map="uniform", output=output,
        **options,
    )  # fmt: skip
    print(result)
    for entry in result.folder.history("ild"):
        print(f"step {entry['step']}: cosine distance {entry['held_out']['cosine']:.4f}")
    return result


if __name__ == "__main__":
    main()
