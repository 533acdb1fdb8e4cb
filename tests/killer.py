"""Kill this process with SIGKILL at a chosen place of a run.

A place is ``step:STAGE:N`` (after optimiser step N), ``checkpoint:STAGE:N`` (half-way through writing the N-th one) or
``end:STAGE:N`` (after the last checkpoint, before the stage's result is saved). Of an export it is ``export:save:1``:
half-way through writing the model, which is not traced.
"""

import os
import signal
from pathlib import Path

import crild
import crild.training.stage as stages
import crild.training.trainer as trainer
from crild.cli import main

__all__ = ["arrange", "main"]
LOADED = crild.distill, crild.compare  # with all that they need, once for every process that is forked from here


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arrange(place: str) -> None:
    """Let this process die at a place."""
    kind, stage, number = place.split(":")
    if kind == "step":
        original = stages._Rhythm.on_step_end

        def on_step_end(self, args, state, control, **kwargs):
            original(self, args, state, control, **kwargs)
            if self.trainer.stage == stage and state.global_step == int(number):
                die()

        stages._Rhythm.on_step_end = on_step_end
    elif kind == "end":
        original_run = stages.StageTrainer.train

        def train(self, **kwargs):
            original_run(self, **kwargs)
            if self.stage == stage:
                die()

        stages.StageTrainer.train = train
    elif kind == "export":
        import crild.serving.onnx as graphs

        def save(program, path):
            path.write_bytes(bytes(100))
            die()

        graphs.to_onnx, graphs.save = (lambda model, sample: None), save
    else:
        original_save, seen = trainer.save_file, []

        def save_file(tensors, path, **kwargs):
            original_save(tensors, path, **kwargs)
            if stage in Path(path).parts and stages.INCOMPLETE in Path(path).parts:
                seen.append(path)
                if len(seen) == int(number):
                    with open(path, "r+b") as file:
                        file.truncate(100)
                    die()

        trainer.save_file = save_file
