"""A run in trackers: TensorBoard's own files read back; W&B and MLflow by what they are asked for."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from transformers import TrainerCallback

import crild
from crild.errors import CrildError
from crild.run.folder import RunFolder
from crild.trackers import Tracking, followed, log_figures
from tests.runs import history


class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 11:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def tracked_run(tmp_path_factory, tiny_teacher, film_data):
    """A run that was stopped at step 11, after a checkpoint at step 8, and went on; with its events read back."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path_factory.mktemp("tracked") / "run"
    options = {"teacher": tiny_teacher, "data": film_data, "student": 1, "method": "kd", "schedule": "paper",
               "hard_label_weight": 0.5, "control": False, "precision": "fp32", "max_steps": 30, "save_steps": 4,
               "output": output, "report_to": "tensorboard"}  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        crild.distill(**options, callbacks=[Stop()])
    crild.distill(**options)
    (stage,) = RunFolder(output).events.iterdir()
    events = EventAccumulator(str(stage))
    events.Reload()
    return output, stage.name, {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}


def test_every_term_is_there_under_its_name(tracked_run):
    """As `docs/guide.md` lists them."""
    _, _, scalars = tracked_run
    terms = {"kd", "task"}
    assert {tag for tag in scalars if tag.startswith("eval/")} == {
        *(f"eval/{term}" for term in terms), *(f"eval/gap/{term}" for term in terms), "eval/score",
    }  # fmt: skip
    assert {*(f"train/{term}" for term in terms), "train/loss", "train/learning_rate", "train/epoch"} <= set(scalars)


def test_what_is_shown_is_what_the_log_says_also_of_a_run_that_was_stopped(tracked_run):
    output, stage, scalars = tracked_run
    lines = history(output, stage)
    for term in ("kd", "task"):
        shown = [(each.step, each.value) for each in scalars[f"eval/{term}"]]
        assert shown == [(line["step"], pytest.approx(line["held_out"][term], rel=1e-5)) for line in lines]
        gaps = [(each.step, each.value) for each in scalars[f"eval/gap/{term}"]]
        assert gaps == [
            (line["step"], pytest.approx(line["held_out"][term] - line["train"][term], rel=1e-4)) for line in lines[1:]
        ]
    steps = RunFolder(output).steps(stage)
    logged = [25, 30]
    assert [each.step for each in scalars["train/kd"]] == logged
    last = [entry["terms"]["kd"] for entry in steps[25:]]
    mean = sum(each["value"] * each["count"] for each in last) / sum(each["count"] for each in last)
    assert scalars["train/kd"][1].value == pytest.approx(mean, rel=1e-4)


def test_trackers_are_no_part_of_what_a_run_is(tracked_run, tiny_teacher, film_data):
    output, _, _ = tracked_run
    result = crild.distill(teacher=tiny_teacher, data=film_data, student=1, method="kd", schedule="paper",
                           output=output, hard_label_weight=0.5, control=False, precision="fp32",
                           max_steps=30)  # fmt: skip
    assert result.to_dict() == json.loads((output / "result.json").read_text())


class Library(ModuleType):
    """A tracker's package that notes what it is asked for."""

    def __init__(self, **attributes):
        super().__init__("tracker")
        self.calls = []
        for name in ("init", "finish", "set_experiment", "end_run"):
            setattr(self, name, lambda *args, _name=name, **options: self.calls.append((_name, args, options)))
        vars(self).update(attributes)


def tracking(folder, *trackers):
    return Tracking(trackers, "reviews", folder / "trackers.json", folder / "tensorboard")


def test_wandb_goes_on_with_the_run_of_the_stage(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    library = Library(run=None)
    monkeypatch.setitem(sys.modules, "wandb", library)
    for _ in range(2):
        with followed(tracking(tmp_path, "wandb"), "kd") as found:
            assert found.arguments["report_to"] == ["wandb"]
    opened = [options for name, _, options in library.calls if name == "init"]
    assert opened[0] == opened[1]
    assert opened[0]["resume"] == "allow"
    assert opened[0]["name"] == found.arguments["run_name"] == f"{opened[0]['group']}/kd"
    assert opened[0]["id"].endswith("-kd")
    assert opened[0]["project"] == found.arguments["project"] == "crild"
    with pytest.raises(ZeroDivisionError), followed(tracking(tmp_path, "wandb"), "ild"):
        raise ZeroDivisionError
    assert [options for name, _, options in library.calls if name == "finish"] == [
        {"exit_code": code} for code in (0, 0, 1)
    ]
    library.run, before = "the caller's", len(library.calls)
    with followed(tracking(tmp_path, "wandb"), "kd"):
        pass
    assert len(library.calls) == before


def test_mlflow_goes_on_with_the_run_of_the_stage_unless_it_is_gone(tmp_path, monkeypatch):
    asked = []

    class Gone(Exception):
        pass

    def start_run(run_id=None, run_name=None):
        asked.append((run_id, run_name))
        if run_id == "lost":
            raise Gone
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or f"new {len(asked)}"))

    library = Library(active_run=lambda: None, start_run=start_run, MlflowException=Gone)
    monkeypatch.setitem(sys.modules, "mlflow", library)
    for stage in ("kd", "kd", "ild"):
        with followed(tracking(tmp_path, "mlflow"), stage) as found:
            name = found.arguments["run_name"]
    assert [earlier for earlier, _ in asked] == [None, "new 1", None]
    file = tmp_path / "trackers.json"
    known = json.loads(file.read_text())
    assert known["mlflow"] == {"kd": "new 1", "ild": "new 3"}
    assert name == f"reviews-{known['id'][:6]}/ild"
    file.write_text(json.dumps(known | {"mlflow": {"kd": "lost"}}))
    with followed(tracking(tmp_path, "mlflow"), "kd"):
        pass
    assert json.loads(file.read_text())["mlflow"]["kd"] == "new 5"
    assert library.calls[-1] == ("end_run", ("FINISHED",), {})


def test_a_tracker_that_cannot_be_opened_is_one_line(tmp_path, monkeypatch):
    def init(**options):
        raise RuntimeError("api_key not configured (no-tty).\nCall wandb.login")

    monkeypatch.setitem(sys.modules, "wandb", Library(run=None, init=init))
    with (
        pytest.raises(
            CrildError, match=r"^--report-to wandb: it cannot be opened \(api_key not configured \(no-tty\)\.\)$"
        ),
        followed(tracking(tmp_path, "wandb"), "kd"),
    ):
        pytest.fail("opened")


def test_without_trackers_nothing_is_told_and_nothing_written(tmp_path):
    with followed(tracking(tmp_path), "kd") as found:
        assert found.arguments == {"report_to": "none"}
    assert list(tmp_path.iterdir()) == []


def test_figures_of_no_step_are_in_every_tracker_under_the_same_names(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged = {}
    wandb = Library(run=None, log=lambda figures: logged.update(wandb=figures))
    mlflow = Library(
        active_run=lambda: None, start_run=lambda **_: SimpleNamespace(info=SimpleNamespace(run_id="1")),
        MlflowException=KeyError, log_metrics=lambda figures: logged.update(mlflow=figures),
    )  # fmt: skip
    trackio = Library(log=lambda figures: logged.update(trackio=figures))
    for name, library in (("wandb", wandb), ("mlflow", mlflow), ("trackio", trackio)):
        monkeypatch.setitem(sys.modules, name, library)
    figures = {"diagnostics/student/gap": -0.25}
    log_figures(tracking(tmp_path, "tensorboard", "wandb", "mlflow", "trackio"), "diagnostics", figures)
    assert logged == dict.fromkeys(("wandb", "mlflow", "trackio"), figures)
    events = EventAccumulator(str(tmp_path / "tensorboard/diagnostics"))
    events.Reload()
    (shown,) = events.Scalars("diagnostics/student/gap")
    assert shown.value == -0.25
    assert [name for name, _, _ in trackio.calls] == ["init", "finish"]


def test_a_diagnosis_goes_where_the_training_went(tracked_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output, _, _ = tracked_run
    found = crild.diagnose(runs=output, rows=8, budget=0.1, report_to="tensorboard").runs[0].summary["student"]
    events = EventAccumulator(str(RunFolder(output).events / "diagnostics"))
    events.Reload()
    for column, value in found.items():
        assert events.Scalars(f"diagnostics/student/{column}")[0].value == pytest.approx(value)
