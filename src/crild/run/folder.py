"""The run directory: the only place that knows the names of its files. Needs torch only where models are loaded."""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from crild.errors import CrildError, InUse, first_line
from crild.files import (
    INPUTS,
    StageFolder,
    check_folder,
    clear_parts,
    load_weights,
    write_folder,
    write_frame,
    write_whole,
)
from crild.processes import is_main, on_main
from crild.run.identity import Identity, read_options, refuse
from crild.run.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from crild.objectives import Composition
    from crild.run.plan import Plan

CONFIG, FACTS, PLAN, RESULT, SECONDS, LOCK, HOLDER = (
    "config.yaml", "run.json", "plan.json", "result.json", "seconds.json", ".lock", "holder.lock",
)  # fmt: skip
PREDICTIONS, SELECTION, OBJECTIVE = "predictions.parquet", "selection.parquet", "objective.safetensors"
DIAGNOSTICS, TRACKERS, TENSORBOARD = "diagnostics", "trackers.json", "tensorboard"
REPORT = "report.html"
SERVED, PROOF = "served", "export.json"  # folder of an export, and the file that tells it
T = TypeVar("T")
PACKAGES = ("crild", "torch", "transformers", "datasets", "accelerate", "numpy", "scikit-learn")


class RunFolder:
    """A run directory. `open` reads a finished one, without its data and without scoring anything.

    Attributes:
        path: the directory.

    Example:
        >>> run = crild.RunFolder.open("runs/reviews")
        >>> run.result["student"]["score"], run.predictions.query("teacher == label and student != label")
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Open the directory of a finished run.

        Raises:
            CrildError: there is no run, or it is not finished.
        """
        run = cls(Path(path).expanduser())
        if not run.path.is_dir():
            raise CrildError(f"no such folder: {path}")
        if not (run.path / CONFIG).exists():
            inside = sorted(each.parent.name for each in run.path.glob(f"*/{CONFIG}"))
            hint = f"; it holds the runs {', '.join(inside)}: open one of them" if inside else ""
            raise CrildError(f"{path}: the folder holds no crild run{hint}")
        if not run.is_finished:
            raise CrildError(f"{path}: the run is not finished; the command that began it goes on with it")
        return run

    # ---- what a finished run holds ----

    @cached_property
    def options(self) -> dict[str, Any]:
        """The run's options, completed by the preset."""
        return read_options(self.path / CONFIG, {})

    @cached_property
    def facts(self) -> dict[str, Any]:
        """When it was started, its seeds, what its files held, versions and machine."""
        return read_json(self.path / FACTS, facts_of)

    @cached_property
    def plan(self) -> "Plan":
        """Its stages."""
        from crild.run.plan import Plan

        return read_json(self.path / PLAN, Plan.of)

    @cached_property
    def result(self) -> Result:
        """What it found."""
        return replace(read_json(self.path / RESULT, Result.of), run=self)

    @cached_property
    def teacher(self) -> "PreTrainedModel":
        """The teacher: fine-tuned here, or from where it was given."""
        return self._load("teacher", self.teacher_path)

    @cached_property
    def student(self) -> "PreTrainedModel":
        """The student."""
        return self._load("student", self.path / "student")

    @cached_property
    def control(self) -> "PreTrainedModel | None":
        """The same student without a teacher; ``None`` where the run had none."""
        path = self.path / "control"
        return self._load("control", path) if path.exists() else None

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer of all its models; but of a student with a trimmed vocabulary, and its control's, alone."""
        from crild.models.loading import load_tokenizer

        name = "student" if (self.path / "student").exists() else "teacher"
        return load_tokenizer(str(self.path / name if name == "student" else self.teacher_path), name)

    @cached_property
    def objective(self) -> "Composition | None":
        """What the method's own term matches, with its learned state; ``None`` where the method has no such term."""
        from crild.randomness import own_random_state
        from crild.run.models import compose_matching

        if self.plan.matching is None:
            return None
        with own_random_state():  # maps are drawn before they are loaded
            objective = compose_matching(self.plan.matching, self.student, self.teacher)
        if (self.path / OBJECTIVE).exists() and not load_weights(self.path / OBJECTIVE, objective):
            raise CrildError(f"{self.path / OBJECTIVE}: the file is damaged")
        return objective.eval()

    @cached_property
    def predictions(self) -> "pd.DataFrame":
        """Every scored row: ``text``, perhaps ``text_pair``, ``label``, ``split``; of each model its answer, and the
        probabilities where there are classes."""
        return read_parquet(self.path / PREDICTIONS)

    @cached_property
    def selection_predictions(self) -> "pd.DataFrame":
        """The same for the selection rows."""
        return read_parquet(self.path / SELECTION)

    @property
    def diagnostics(self) -> dict[str, dict[str, Any]]:
        """The figures of every diagnostic that `crild.diagnose` has run here, by name."""
        files = sorted((self.path / DIAGNOSTICS).glob("*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}

    @property
    def export(self) -> dict[str, Any] | None:
        """The proof of its export, as `crild.export` wrote it; ``None`` without one."""
        path = self.path / SERVED / PROOF
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def classifier_path(self) -> Path:
        """Where the model is that the run was for: the student, or the teacher of a fine-tuning.

        Raises:
            CrildError: its weights were not kept.
        """
        if "student" not in self.result:
            return self.teacher_path
        if not self.model("student").exists():
            raise CrildError(f"{self.path}: the weights of its student were not kept")
        return self.model("student")

    def history(self, stage: str) -> list[dict[str, Any]]:
        """Return every evaluation of a stage on the selection rows."""
        return read_lines(self.stage(stage).history)

    def steps(self, stage: str) -> list[dict[str, Any]]:
        """Return every term of every step of a stage."""
        return read_lines(self.stage(stage).steps)

    @property
    def teacher_path(self) -> Path:
        """Where the teacher is."""
        path = Path(str(self.result["teacher"]["path"]))
        inside = (self.path / "teacher", self.path / INPUTS / path.name)  # also in a folder that was moved
        return next((each for each in inside if each.exists()), path)

    def _load(self, role: str, path: Path) -> "PreTrainedModel":
        from crild.models.loading import load_model

        if not path.exists() and role != "teacher":
            raise CrildError(f"{self.path}: the weights of its {role} were not kept")
        return load_model(str(path), role).model.eval()

    def write_diagnostic(self, name: str, figures: Mapping[str, Any]) -> Path:
        """Write the figures of a diagnostic of the finished run; return the file."""
        path = self.path / DIAGNOSTICS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        write_whole(path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
        return path

    def write_report(self, page: str) -> Path:
        """Write the page that shows the run; return the file."""
        write_whole(self.path / REPORT, page)
        return self.path / REPORT

    # ---- a run that is going on ----

    @property
    def is_started(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / CONFIG).exists()

    @property
    def is_finished(self) -> bool:
        """Whether its result is there."""
        return (self.path / RESULT).exists()

    def refuse_another(self, identity: Identity) -> None:
        """Refuse a folder that holds anything but this very run; touch nothing.

        Raises:
            CrildError: it does.
        """
        check_folder(str(self.path), CONFIG, "crild run")
        if (self.path / CONFIG).exists():
            refuse(self.path, identity.difference(self.identity(identity)), "crild run")

    def identity(self, known: Identity) -> Identity:
        """Return the identity of the run in the folder; options that it did not know stand for what it did."""
        facts = self.path / FACTS
        contents = read_json(facts, facts_of).get("contents", {}) if facts.exists() else {}
        return Identity(read_options(self.path / CONFIG, known.options), contents)

    def refuse_in_use(self) -> None:
        """Raise `InUse` where another process works in the folder."""
        if (self.path / LOCK).exists():
            with self._locked():
                pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs' processes out; the lock goes with the process that has it, however it ends.

        Raises:
            InUse: another one is in.
        """
        with ExitStack() as stack:
            on_main(lambda: stack.enter_context(self._locked()))
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / LOCK)
        holder = self.path / HOLDER
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = json.loads(holder.read_text(encoding="utf-8")) if holder.exists() else {}
            raise InUse(
                f"--output {self.path}: in use by process {who.get('process', 'unknown')}, started "
                f"{who.get('started', 'just now')}; wait for it, or choose another folder"
            ) from None
        try:
            clear_parts(self.path)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            write_whole(
                holder, json.dumps({"process": os.getpid(), "started": started, "host": platform.node()}) + "\n"
            )
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def start(self, identity: Identity, plan: "Plan", more: Mapping[str, Any]) -> None:
        """Write what is to be run, what its files hold, versions, and more facts; a run that goes on keeps its own."""
        if not (self.path / FACTS).exists():
            facts = {"started": datetime.now(UTC).isoformat(timespec="seconds"), **more, "contents": identity.contents}
            write_whole(self.path / FACTS, json.dumps({**facts, **environment()}, indent=2) + "\n")
        write_whole(self.path / PLAN, json.dumps(plan.to_dict(), indent=2) + "\n")
        if not (self.path / CONFIG).exists():  # last: it is what tells whose folder this is
            write_whole(self.path / CONFIG, yaml.safe_dump(identity.options, sort_keys=False, allow_unicode=True))

    def stage(self, name: str) -> StageFolder:
        """Return the folder of a stage."""
        return StageFolder(self.path / "stages" / name)

    @property
    def trackers(self) -> Path:
        """The file on what trackers call the run."""
        return self.path / TRACKERS

    @property
    def events(self) -> Path:
        """TensorBoard's folder."""
        return self.path / TENSORBOARD

    def cache(self, shared: str | None) -> Path:
        """Return the folder of teacher outputs."""
        return Path(shared) if shared else self.path / "cache"

    def model(self, role: str) -> Path:
        """Return the folder of ``teacher``, ``control`` or ``student``."""
        return self.path / role

    def save_model(self, role: str, fill: Callable[[Path], None]) -> None:
        """Fill the folder of a model, whole or not at all."""
        write_folder(self.model(role), fill)

    def write_frame(self, frame: "pd.DataFrame", selection: bool = False) -> None:
        """Write the scored rows, or the selection rows."""
        write_frame(self.path / (SELECTION if selection else PREDICTIONS), frame)

    def finish(self, result: Result, keep_stages: bool) -> None:
        """Write the result; remove the weights that nothing needs after it."""
        states = [self.stage(stage.name).objective for stage in self.plan.stages]
        if states := [path for path in states if path.exists()]:
            shutil.copyfile(states[-1], self.path / OBJECTIVE)
        write_whole(self.path / RESULT, result.to_json())
        if not keep_stages:
            self.drop_stages()

    def drop_stages(self) -> None:
        """Delete the weights of every stage; what was measured stays."""
        for weights in self.path.glob("stages/*/*.safetensors"):
            weights.unlink(missing_ok=True)  # two grids may share a folder

    def drop_weights(self) -> None:
        """Delete the weights of student and control, and of every stage; what was measured stays."""
        for role in ("student", "control"):
            shutil.rmtree(self.model(role), ignore_errors=True)
        self.drop_stages()

    def clock(self) -> "Clock":
        """Return the clock of all starts together."""
        return Clock(self.path / SECONDS)


class Clock:
    """The seconds that a run took, those of earlier starts included, as far as they were noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = float(json.loads(path.read_text())["seconds"]) if path.exists() else 0.0
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until now."""
        return self.before + time.monotonic() - self.began

    def note(self) -> None:
        """Write them down, so that a killed run's are not lost."""
        if not is_main():
            return
        write_whole(self.path, json.dumps({"seconds": round(self.seconds, 2)}) + "\n")


def facts_of(values: Any) -> dict[str, Any]:
    """Return what ``run.json`` holds, where it is of the right form."""
    facts: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_python(values)
    return facts | {"contents": TypeAdapter(dict[str, str]).validate_python(facts.get("contents", {}))}


def read_json(path: Path, make: Callable[[Any], T]) -> T:
    """Return what is made of a JSON file of a run.

    Raises:
        CrildError: it is not there, or is not what crild wrote.
    """
    try:
        return make(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CrildError(unreadable(path, error)) from None


def read_parquet(path: Path) -> "pd.DataFrame":
    """Return the rows in a file of a run.

    Raises:
        CrildError: as `read_json` does.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except Exception as error:
        raise CrildError(unreadable(path, error)) from None


def unreadable(path: Path, error: Exception) -> str:
    """Say that a file of a run is broken, and the way out."""
    what = "is not there" if isinstance(error, FileNotFoundError) else f"is not as crild wrote it ({first_line(error)})"
    return f"{path} {what}: the run is broken; run it again in another folder"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def environment() -> dict[str, Any]:
    """Return versions and machine."""
    import torch

    return {
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
