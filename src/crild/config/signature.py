"""Functions whose keyword arguments are the options of a class: what `help` and an editor show of them."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin

from crild.config.arguments import sections
from crild.config.declare import is_place, type_of
from crild.config.options import MODEL_OPTIONS, ROW_OPTIONS

F = TypeVar("F", bound=Callable[..., Any])
PATH = "str | PathLike[str]"


def takes(cls: Any) -> Callable[[F], F]:
    """Give a function with ``**options`` a signature and a docstring that name the options of a class."""

    def name_options(function: F) -> F:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind != inspect.Parameter.VAR_KEYWORD]
        every = [each for _, group in sections(cls) for each in group]
        options = [
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default,
                              annotation=annotation(cls, each.name))
            for each in every
        ]  # fmt: skip
        function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        lines = [f"    {each.name}: {explained(each)}" for each in every]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Options:", *lines])
        return function

    return name_options


def explained(option: Field) -> str:
    """Return an option's line of help, and its default where that is a word of its own."""
    unset = option.metadata.get("unset")
    return option.metadata["help"] + (f" (default: {unset})" if option.default is None and unset else "")


def annotation(cls: Any, name: str) -> str:
    """Return the type of an option as Python writes it; of some an object is taken as well as its path."""
    kind, default = type_of(cls, name), next(each.default for each in fields(cls) if each.name == name)
    if get_origin(kind) is Literal:
        text = f"Literal[{', '.join(map(repr, get_args(kind)))}]"
    elif is_place(cls, name):
        text = ("int | " if name == "student" else "") + PATH
        text += " | PreTrainedModel" if name in MODEL_OPTIONS else ""
        text = f"{text} | Sequence[{text}]" if kind is tuple else text
        text += " | DataFrame | Dataset | DatasetDict" if name in ROW_OPTIONS else ""
    else:
        text = kind.__name__
    return f"{text} | None" if default is None else text
