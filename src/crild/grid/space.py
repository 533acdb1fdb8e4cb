"""What a search may choose, by option: read from text or YAML, and drawn for one trial. No torch, no Optuna."""

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from crild.config import DistillConfig, convert, option_names, stage_settings
from crild.config.declare import type_of
from crild.config.student import is_static
from crild.errors import CrildError, nearest
from crild.methods import find_method

Range = tuple[float, float] | list[Any]
"""Lowest and highest value, searched on a logarithmic scale; or choices."""


def read_space(values: Mapping[str, Any], where: str, more: Collection[str] = ()) -> dict[str, Range]:
    """Return what is searched, by option.

    Args:
        values: by option ``low:high``, or a list of choices, or one choice.
        where: prefix of error messages.
        more: names that are searched though they are no options; their choices are taken as they are.

    Raises:
        CrildError: an option is unknown, or a range is none.
    """
    known = [*option_names(DistillConfig), *more]
    space: dict[str, Range] = {}
    for name, value in values.items():
        name = name.strip().replace("-", "_")
        if name not in known:
            raise CrildError(f"{where}: unknown option {name!r}{nearest(name, known)}")
        if (isinstance(value, str) and ":" in value) or value in ("", []):
            space[name] = read_range(name, str(value), where)
            continue
        choices = value if isinstance(value, list) else [value]
        space[name] = choices if name in more else [convert(DistillConfig, name, each, where) for each in choices]
    return space


def read_range(name: str, text: str, where: str) -> tuple[float, float]:
    """Return the bounds of ``low:high``."""
    low, _, high = text.partition(":")
    try:
        bounds = float(low), float(high)
    except ValueError:
        bounds = 0.0, 0.0
    if not 0 < bounds[0] < bounds[1]:
        raise CrildError(f"{where}: {name}: {text!r} is neither low:high (0 < low < high) nor a choice of values")
    return bounds


def read_text(text: str) -> dict[str, Any]:
    """Return what ``--search`` says, as `read_space` takes it: ``option=low:high,option=a|b|c``."""
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, _, said = part.partition("=")
        values[name] = said.strip() if ":" in said or not said else [plain_value(each) for each in said.split("|")]
    return values


def plain_value(text: str) -> Any:
    """Return the number, switch or word that a text is to YAML."""
    try:
        value = yaml.safe_load(text)
    except Exception:
        value = text
    return value if isinstance(value, bool | int | float) else text.strip()


def usual(config: DistillConfig, space: Mapping[str, Range]) -> dict[str, Any]:
    """Return what a run without a search has of the options that are searched, where the search may choose it."""
    values = {name: in_effect(config, name) for name in space if name in option_names(DistillConfig)}
    if values.get("student_head") == "auto":
        values["student_head"] = "teacher"
    return {name: value for name, value in values.items() if value is not None and may_be(value, space[name])}


def in_effect(config: DistillConfig, name: str) -> Any:
    """Return the value that acts: the option's, the preset's or the method's; ``None`` where the data say it."""
    kind, _, setting = name.partition("_")
    if setting in ("learning_rate", "batch_size"):
        return getattr(stage_settings(config, kind, 0, is_static(config.student)), setting)
    value = getattr(config, name)
    return getattr(find_method(config.method), name, None) if value is None else value


def may_be(value: Any, choices: Range) -> bool:
    """Return whether a search may choose a value."""
    if isinstance(choices, list):
        return value in choices
    return isinstance(value, int | float) and choices[0] <= value <= choices[1]


def suggest(trial: Any, name: str, choices: Range) -> Any:
    """Return a trial's value of one option."""
    if isinstance(choices, list):
        return trial.suggest_categorical(name, choices)
    if name in option_names(DistillConfig) and type_of(DistillConfig, name) is int:
        return trial.suggest_int(name, round(choices[0]), round(choices[1]), log=True)
    return trial.suggest_float(name, *choices, log=True)


def spelled(options: Mapping[str, Any]) -> str:
    """Return options as a line."""
    return ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in options.items())
