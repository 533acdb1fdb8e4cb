"""How an option is declared, and how its values are checked: once, for Python, YAML and the command line alike."""

import dataclasses
import functools
import itertools
import os
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, StrictBool, ValidationError
from pydantic.dataclasses import dataclass

from crild.errors import CrildError, nearest

T = TypeVar("T")
_order = itertools.count()


def _home(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str | Path) else value


def _no_unit(value: Any) -> Any:
    return value.strip().removesuffix("ms") if isinstance(value, str) else value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


def _no_switch(value: Any) -> Any:  # to Python True is 1
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")
    return value


Place = Annotated[str, BeforeValidator(_home)]
"""A path, or a name that may stand for one; the only options in which ``~`` is the home folder."""
Places = Annotated[tuple[Place, ...], BeforeValidator(_several)]
"""Several of them; one may stand for a list of one."""
Whole = Annotated[int, BeforeValidator(_no_switch)]
Number = Annotated[float, BeforeValidator(_no_switch)]
Milliseconds = Annotated[float, BeforeValidator(_no_unit), BeforeValidator(_no_switch)]
"""A number, also one that says its unit: ``10ms``."""
Switch = StrictBool


def option(
    default: Any,
    help: str,
    *,
    unset: str | None = None,
    off: str | None = None,
    required: str | None = None,
    choices: Sequence[str] | None = None,
    reads: str | None = None,
    writes: str | None = None,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Return a field of a configuration.

    Args:
        default: its value where nobody says another one.
        help: its line of help.
        unset: what a default of ``None`` stands for.
        off: of a switch that is on by default: what turning it off does.
        required: a name that options share of which one must be given.
        choices: the values that it may have, where its type does not say so.
        reads: what a path that is read should be, see `crild.paths.refuse_absent`.
        writes: ``answers``: a file that answers are written to, see `crild.paths.refuse_answers`.
        above, at_least, at_most: its bounds.
    """
    bounds = {"gt": above, "ge": at_least, "le": at_most}  # as pydantic calls them
    rest = {"help": help, "unset": unset, "off": off, "required": required, "choices": choices,
            "reads": reads, "writes": writes}  # fmt: skip
    return dataclasses.field(default=default, metadata={k: v for k, v in (bounds | rest).items() if v is not None})


@dataclass_transform(kw_only_default=True, frozen_default=True)
def options(cls: type[T]) -> type[T]:
    """Make a class of options: frozen, keywords only, checked, and every complaint one line.

    The first line of a class's docstring is the heading of its options in ``--help``, where classes come in the order
    in which they were declared.
    """
    settings = ConfigDict(extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)
    made: Any = dataclass(kw_only=True, frozen=True, config=settings)(cls)
    checked = made.__init__

    def __init__(self: Any, **values: Any) -> None:
        try:
            checked(self, **values)
        except ValidationError as error:
            raise CrildError(_complaint(made, error.errors(include_url=False)[0])) from None
        for each in dataclasses.fields(made):
            allowed, value = each.metadata.get("choices"), getattr(self, each.name)
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
                    raise CrildError(f"{each.name}: {short(text)} is not UTF-8 text: rename what it names")
            if allowed and value is not None and value not in allowed:
                raise CrildError(_no_choice(each.name, value, allowed))

    made.__init__ = __init__
    made.declared = next(_order)
    return made


def _complaint(cls: Any, error: Mapping[str, Any]) -> str:
    """Return one line on what pydantic found wrong with one value."""
    name, value, kind, context = str(error["loc"][0]), error["input"], error["type"], error.get("ctx", {})
    if kind == "unexpected_keyword_argument":
        return f"unknown option {name!r}{nearest(name, option_names(cls))}"
    bounds = {"greater_than": ("above", "gt"), "greater_than_equal": ("at least", "ge"),
              "less_than_equal": ("at most", "le")}  # fmt: skip
    if kind in bounds:
        words, key = bounds[kind]
        return f"{name}: {value} is out of range, it must be {words} {context[key]:.10g}"
    if kind == "literal_error":
        return _no_choice(name, value, choices_of(cls, name))
    if kind == "value_error":
        return f"{name}: {context['error']}"
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text", tuple: "a list of texts"}
    return f"{name}: {short(value)} is not {wanted[type_of(cls, name)]}"


def _no_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    return f"{name}: {short(value)} is none of {', '.join(choices)}{nearest(str(value), choices)}"


def short(value: Any) -> str:
    """Return a value as messages quote it."""
    said = " ".join(repr(value).split())
    return said if len(said) <= 80 else f"{said[:80]}..."


def option_names(cls: Any) -> list[str]:
    """Return the names of a configuration's options."""
    return [each.name for each in dataclasses.fields(cls)]


@functools.cache
def _types(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def type_of(cls: Any, name: str) -> Any:
    """Return an option's type without ``None``: ``int``, ``float``, ``bool``, ``str``, ``tuple`` or a ``Literal``."""
    hint = _types(cls)[name]
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not types.NoneType)
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return tuple if get_origin(hint) is tuple else hint


def is_place(cls: Any, name: str) -> bool:
    """Whether an option names a path, or several."""
    hint = _types(cls)[name]
    return any(each in (Place, Places) for each in (hint, *get_args(hint)))


def choices_of(cls: Any, name: str) -> tuple[str, ...]:
    """Return the values that an option may have; none where it may have any."""
    said = next(each for each in dataclasses.fields(cls) if each.name == name).metadata.get("choices")
    hint = type_of(cls, name)
    return tuple(said or (get_args(hint) if get_origin(hint) is Literal else ()))


def build(cls: Callable[..., T], values: Mapping[str, Any], where: str = "") -> T:
    """Make a configuration from names and values.

    Args:
        cls: a class of options.
        values: by name.
        where: prefix of error messages, for instance the YAML file.

    Raises:
        CrildError: a name is unknown, or a value has the wrong type or is out of range.
    """
    try:
        return cls(**values)
    except CrildError as error:
        raise CrildError(f"{where}: {error}" if where else str(error)) from None


def convert(cls: Any, name: str, value: Any, where: str = "") -> Any:
    """Return ``value`` as the option ``name`` of ``cls`` takes it, or complain."""
    return getattr(build(cls, {name: value}, where), name)


def configure(cls: type[T], config: T | None, values: Mapping[str, Any]) -> T:
    """Return the configuration that a function of the public API was given: whole, or as options.

    Raises:
        CrildError: both were given, or something else.
    """
    if config is None:
        return build(cls, values)
    if not isinstance(config, cls):
        raise CrildError(f"a {type(config).__name__} is no {cls.__name__}: give one, or options by name")
    if values:
        raise CrildError(
            f"{', '.join(values)}: given beside a {cls.__name__}, which says everything; "
            "use dataclasses.replace(config, ...)"
        )
    return config


def as_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as plain values."""
    return dataclasses.asdict(config)
