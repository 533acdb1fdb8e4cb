"""`frontier`: distil students, cheapest first, serve each, and name the fastest that is as good as its teacher."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from crild.config import DistillConfig, ExportConfig, FrontierConfig, PredictConfig, build, option_names, takes
from crild.console import say
from crild.data.glue import USUAL_LENGTH
from crild.data.task import load_unlabelled
from crild.errors import CrildError
from crild.files import check_folder, write_whole
from crild.grid.run import run_grid
from crild.grid.spec import DECIDED_HERE, GRID, RESULTS, Grid, cells, slug
from crild.grid.workers import refuse_workers
from crild.metrics import paired_interval
from crild.models import loading
from crild.models.shape import Shape
from crild.pareto.candidates import Candidate, candidates
from crild.pareto.picture import picture
from crild.pareto.result import FOUND, UNTRAINED, Frontier, Served, fastest, qualifies
from crild.pareto.timing import in_int8, milliseconds
from crild.processes import refuse_several
from crild.randomness import own_random_state
from crild.run.classifier import Classifier
from crild.run.folder import RunFolder
from crild.run.objects import configured
from crild.run.predictions import RunRows
from crild.serving.export import export
from crild.serving.folder import bytes_of
from crild.serving.packages import refuse_missing
from crild.serving.proof import in_session, in_torch
from crild.serving.rows import scored
from crild.serving.session import Session
from crild.serving.timing import threads_of_torch

PICTURE = "frontier.svg"
FULL, AUTO = "full", "auto"  # vocabularies; others are a number of tokens, see `crild export --trim-vocabulary`
NOT_OF_RUNS = (*DECIDED_HERE, "teacher", "base", "student", "student_width")


@takes(FrontierConfig)
@own_random_state()
def frontier(
    config: FrontierConfig | None = None, *, tokenizer: PreTrainedTokenizerBase | None = None, **options: Any
) -> Frontier:
    """Distil students of several depths and widths, serve each in int8, and name the fastest that is good enough.

    Students are tried cheapest first, by the time that they take with untrained weights. One that takes longer than
    ``max_latency`` is not trained, nor is any that is slower than one that qualifies. The runs are a grid
    (`crild.compare`) inside the output folder, and the same call goes on with them.

    Args:
        config: a whole configuration; or
        tokenizer: of the models that are given as objects.
        options: the fields of `FrontierConfig`, for instance ``teacher="./my-bert", data="tweets.csv", within=0.01,
            max_latency=10, output="runs/frontier"``; models and data may be objects, as in `crild.distill`.

    Returns:
        The table: score, latency and size of each served student, and which is the fastest that qualifies. It is also
        in ``frontier.json``, with a picture in ``frontier.svg``.

    Raises:
        CrildError: it cannot be run, or no student could be trained.
    """
    refuse_several("crild.frontier")
    refuse_missing(ExportConfig(quantize="int8"))
    with configured(
        FrontierConfig, config, options, tokenizer, lambda sound: check_folder(sound.output, GRID, "grid"), GRID
    ) as (whole, _):
        return find(whole)


def find(config: FrontierConfig) -> Frontier:
    """Find it as a configuration says; see `frontier`."""
    folder = check_folder(config.output, GRID, "grid").resolve()
    read_vocabularies(config.vocabularies)
    refuse_workers(config.workers, config.address)
    options, source = models_of(config)
    shape = Shape.of(source.config)
    listed = candidates(config, {"layers": shape.layers, "width": shape.width})
    known = untrained(folder, config, listed, source)
    with RunFolder(folder).locked():
        return find_among(folder, config, options, listed, known)


def find_among(
    folder: Path,
    config: FrontierConfig,
    options: dict[str, Any],
    listed: Sequence[Candidate],
    known: dict[str, Served],
) -> Frontier:
    """Train and serve students, the fastest first, until one qualifies; no other process searches in the folder.

    Args:
        folder: of the search.
        config: what was asked for.
        options: those that all runs share.
        listed: every student.
        known: each of them with the time that it takes untrained.
    """
    vocabularies = read_vocabularies(config.vocabularies)
    todo, left_out = within_reach(config, listed, known)
    at_once = int(config.workers) if config.workers.isdigit() else len(todo)
    trained: list[Candidate] = []
    students: list[Served] = []
    run: RunFolder | None = None
    while todo and not any(qualifies(each, config.within, None) for each in students):
        now, todo = todo[:at_once], todo[at_once:]
        trained += now
        for candidate, done, error in train(folder, config, options, trained)[-len(now) :]:
            beforehand = known[candidate.name]
            if error is not None:
                students.append(replace(beforehand, left_out=f"failed: {error}"))
            else:
                run = done
                students += [serve(folder, done, beforehand, each) for each in vocabularies]
    if run is None:
        raise CrildError(f"no student could be trained: {students[0].name} {students[0].left_out}")
    slower = [replace(known[each.name], left_out="not trained: slower than one that qualifies") for each in todo]
    return conclude(folder, config, [*students, *slower, *left_out], run)


def read_vocabularies(said: str) -> list[str]:
    """Return the vocabularies that students are served with.

    Raises:
        CrildError: one is none.
    """
    listed = [each.strip() for each in said.split(",")]
    if wrong := [each for each in listed if each not in (FULL, AUTO) and not each.isdigit()]:
        raise CrildError(f"--vocabularies: {wrong[0]!r} is neither full, auto nor a number of tokens")
    return list(dict.fromkeys(listed))


def models_of(config: FrontierConfig) -> tuple[dict[str, Any], PreTrainedModel]:
    """Return the options that all runs share, and the model that students are cut from.

    An encoder without a trained head that is given as a teacher is a base: the grid fine-tunes it, once.
    """
    names = [name for name in option_names(DistillConfig) if name not in NOT_OF_RUNS and hasattr(config, name)]
    shared = {name: value for name in names if (value := getattr(config, name)) is not None}
    teacher, base = config.teacher, config.base
    loaded = None
    if teacher is not None:
        loaded = loading.load_model(teacher, "teacher", None, config.trust_remote_code, config.revision)
        if not loaded.head_is_trained:
            teacher, base = None, base or teacher
    if loaded is None or (base is not None and base != config.teacher):
        assert base is not None
        loaded = loading.load_model(base, "base", None, config.trust_remote_code, config.revision)
    named = {"teacher": teacher, "base": base}
    return shared | {name: value for name, value in named.items() if value is not None}, loaded.model


def untrained(
    folder: Path, config: FrontierConfig, listed: Sequence[Candidate], source: PreTrainedModel
) -> dict[str, Served]:
    """Return each candidate with its milliseconds a batch, untrained, or why it cannot be; measured once a folder.

    Raises:
        CrildError: none can be.
    """
    path = folder / UNTRAINED
    with threads_of_torch(config.threads) as threads:
        said = {"batch": config.batch, "threads": threads, "students": [each.name for each in listed]}
        earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if said.items() <= earlier.items():
            return {each["name"]: Served(**each) for each in earlier["known"]}
        say(f"{len(listed)} students: measuring how long each takes, with the weights that it starts from")
        name = config.base or config.teacher
        assert name is not None
        tokenizer = loading.load_tokenizer(name, "teacher", config.trust_remote_code, config.revision)
        rows, length = rows_to_time(config), config.max_length or USUAL_LENGTH
        models, reasons = {}, {}
        for each in listed:
            try:
                models[each.name] = in_int8(each.untrained(source), tokenizer, rows, length, threads)
            except CrildError as error:
                reasons[each.name] = f"cannot be: {error}"
        if not models:
            raise CrildError(
                f"no student can be trained and served: {next(iter(reasons))} {next(iter(reasons.values()))}"
            )
        times = milliseconds(models, len(rows), config.batch)
    known = {c.name: Served(c.name, latency_ms=times.get(c.name), left_out=reasons.get(c.name)) for c in listed}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(said | {"known": [asdict(each) for each in known.values()]}, indent=1) + "\n")
    return known


def rows_to_time(config: FrontierConfig) -> Dataset:
    """Return the texts that students are timed on before there is a run: the data's validation split, or all of it."""
    return load_unlabelled(
        PredictConfig(
            data=config.data, text=config.text, text_pair=config.text_pair, data_revision=config.data_revision
        )
    )[0]


def within_reach(
    config: FrontierConfig, listed: Sequence[Candidate], known: Mapping[str, Served]
) -> tuple[list[Candidate], list[Served]]:
    """Return the students that may qualify, the fastest first, and the others with why they cannot.

    Raises:
        CrildError: all take longer than is allowed.
    """

    def takes(candidate: Candidate) -> float:
        return known[candidate.name].latency_ms or 0.0

    cannot = [known[each.name] for each in listed if known[each.name].left_out is not None]
    able = sorted((each for each in listed if known[each.name].left_out is None), key=takes)
    limit = config.max_latency
    if limit is None:
        return able, cannot
    if takes(able[0]) > limit:
        raise CrildError(
            f"--max-latency {limit:g}: every student takes longer, {able[0].name} {takes(able[0]):.3g} ms: allow more, "
            "or give smaller --widths or --batch"
        )
    slow = [replace(known[c.name], left_out=f"not trained: slower than {limit:g} ms") for c in able if takes(c) > limit]
    return [each for each in able if takes(each) <= limit], [*slow, *cannot]


def train(
    folder: Path, config: FrontierConfig, options: dict[str, Any], chosen: Sequence[Candidate]
) -> list[tuple[Candidate, RunFolder, str | None]]:
    """Run the grid of the chosen students, or go on with it; return each one's run, and why it failed if it did."""
    grid = Grid(
        claim="students of several sizes",
        tasks={slug(Path(str(config.data)).stem): {"data": config.data}},
        methods={each.name: each.options(config.method) for each in chosen},
        seeds=[config.seed],
        data_seeds=[config.data_seed],
        teacher_seeds=[config.seed],
        options={name: value for name, value in options.items() if name != "data"},
        baseline=chosen[0].name,
        keep_weights=True,
    )
    run_grid(grid, folder, config.workers, config.address, None)
    errors = {each["method"]: each["error"] for each in json.loads((folder / RESULTS).read_text())["runs"]}
    places = {cell.method: cell.folder for cell in cells(grid)}
    return [(each, RunFolder(folder / places[each.name]), errors[each.name]) for each in chosen]


def serve(folder: Path, run: RunFolder, student: Served, vocabulary: str) -> Served:
    """Export a run's student, unless that was done before; return how it scores as it is served.

    Args:
        folder: of it all.
        run: the finished one.
        student: what was known of it untrained.
        vocabulary: `FULL`, `AUTO` or a number of tokens.
    """
    name = student.name + {FULL: "", AUTO: ", trimmed"}.get(vocabulary, f", {vocabulary} tokens")
    path = folder / "served" / slug(name)
    try:
        if not (path / "export.json").exists():
            say(f"{name}: serving it in int8")
            trimmed = {} if vocabulary == FULL else {"trim_vocabulary": vocabulary}
            chosen = {"model": str(run.path), "output": str(path), "quantize": "int8", **trimmed}
            export(build(ExportConfig, chosen))
    except CrildError as error:
        return replace(student, name=name, left_out=f"not served: {error}")
    rows = RunRows.of(run)
    session = Session(path)
    answers = rows.task_type.answers(session.logits(scored(rows, rows.held_out).texts))
    truth, teachers = rows.truth(rows.held_out), rows.answers(rows.held_out, "teacher")
    score = rows.measure(truth, answers)
    return replace(
        student,
        name=name,
        score=score,
        difference=score - rows.measure(truth, teachers),
        interval=paired_interval(rows.measure, truth, answers, teachers),
        bytes=bytes_of(path / session.about["model"]),
        path=str(path),
    )


def conclude(folder: Path, config: FrontierConfig, students: Sequence[Served], run: RunFolder) -> Frontier:
    """Time the teacher and all served students in turns; write the table and the picture, and return them.

    Args:
        folder: of it all.
        config: what was asked for.
        students: those that are served, and those that are not.
        run: one of the finished ones, for the teacher and the held-out rows.
    """
    rows, held = RunRows.of(run), run.result.models["teacher"]
    assert held is not None
    texts = scored(rows, rows.held_out)
    there = {each.name: Path(each.path) for each in students if each.path is not None}
    with threads_of_torch(config.threads) as threads:
        say(f"timing the teacher and {len(there)} served students, which take turns")
        teacher = Classifier(str(run.teacher_path), run.teacher.cpu(), run.tokenizer, rows.task_type, rows.names)
        models = {"teacher": in_torch(teacher, texts, run.result.max_length)}
        models |= {name: in_session(Session(path, threads), texts.texts) for name, path in there.items()}
        times = milliseconds(models, len(texts.rows), config.batch)
    timed = [replace(each, latency_ms=times.get(each.name, each.latency_ms)) for each in students]
    timed.sort(key=lambda each: each.latency_ms or 0.0)
    best = fastest(timed, config.within, config.max_latency)
    found = Frontier(
        metric=rows.metric,
        rows=len(rows.held_out),
        within=config.within,
        max_latency=config.max_latency,
        batch=config.batch,
        threads=threads,
        teacher=Served("teacher", held.score, 0.0, None, times["teacher"], held.bytes, teacher.path),
        students=tuple(timed),
        fastest=None if best is None else best.name,
        folder=str(folder),
    )
    write_whole(folder / FOUND, json.dumps(found.to_dict(), indent=1) + "\n")
    write_whole(folder / PICTURE, picture(found))
    return found
