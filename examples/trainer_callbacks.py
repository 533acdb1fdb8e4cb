"""CR-ILD's two stages as two trainers, with a callback of your own and TensorBoard.

    python examples/trainer_callbacks.py TEACHER TRAIN.jsonl HELD_OUT.jsonl OUTPUT
    tensorboard --logdir OUTPUT

TEACHER is a folder or hub name of a fine-tuned classifier; the files have a ``text`` and a ``label`` (0, 1, ...).
"""

import os
import sys

import numpy as np
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

import crild
from crild.models.cut import cut


class Overfits(TrainerCallback):
    """Say how much larger a term is on held-out rows than on those just trained on."""

    def __init__(self, term: str) -> None:
        self.term = term
        self.training = float("nan")

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.training = logs.get(self.term, self.training)
        if f"eval_{self.term}" in logs:
            print(f"step {state.global_step}: {self.term} {logs[f'eval_{self.term}'] / self.training:.2f} x")


def accuracy(found):
    return {"accuracy": float(np.mean(found.predictions.argmax(-1) == found.label_ids))}


def main(teacher_name: str, train: str, held_out: str, output: str) -> None:
    teacher = AutoModelForSequenceClassification.from_pretrained(teacher_name)
    tokenizer = AutoTokenizer.from_pretrained(teacher_name)
    student = cut(teacher, list(range(teacher.config.num_hidden_layers // 2)))
    data = load_dataset("json", data_files={"train": train, "held_out": held_out})
    for stage, term in (("ild", "hidden"), ("kd", "kd")):
        os.environ["TENSORBOARD_LOGGING_DIR"] = f"{output}/events/{stage}"
        args = crild.DistillationArguments(
            f"{output}/{stage}", stage=stage, num_train_epochs=3, learning_rate=1e-4, per_device_train_batch_size=32,
            eval_strategy="epoch", save_strategy="epoch", logging_strategy="epoch", report_to="tensorboard",
        )  # fmt: skip
        trainer = crild.DistillationTrainer(
            student, teacher, "cr-ild", args, data["train"], data["held_out"], tokenizer,
            callbacks=[Overfits(term)], compute_metrics=accuracy,
        )  # fmt: skip
        trainer.train()
    trainer.save_model(f"{output}/student")


if __name__ == "__main__":
    main(*sys.argv[1:])
