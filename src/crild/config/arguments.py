"""A command line from a class of options: defaults, then ``--config FILE``, then what was typed."""

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from crild.config.declare import build, choices_of, is_place, option_names, type_of
from crild.config.files import read_yaml
from crild.errors import CrildError, nearest
from crild.paths import refuse_absent, refuse_answers

T = TypeVar("T")
HOW_TO_RUN = "How to run"
NAMED = "named"  # where the parser keeps a positional option that is given by its name all the same


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing usage."""
        raise CrildError(message.removeprefix("argument "))


def parse(
    cls: type[T],
    arguments: Sequence[str],
    verb: str,
    summary: str,
    positional: str | None = None,
    switches: Mapping[str, str] | None = None,
) -> tuple[T, argparse.Namespace]:
    """Parse what a user typed after a verb.

    Args:
        cls: a class of options.
        arguments: what was typed.
        verb, summary: for help.
        positional: the option that may be given without its name.
        switches: further switches of the command line alone, with their help.

    Returns:
        The configuration, and the switches.

    Raises:
        CrildError: an option is unknown, has a wrong value, or is missing.
    """
    parser = make_parser(cls, verb, summary, positional, switches or {})
    # "Intermixed": a positional argument may stand anywhere.
    known, left = parser.parse_known_intermixed_args(list(arguments))
    if left:
        complain(parser, left)
    typed = {name: value for name, value in vars(known).items() if name in option_names(cls)}
    if NAMED in known:
        assert positional is not None
        if positional in typed:
            raise CrildError(f"{flag(positional)}: {positional.upper()} is given twice, with its name and without")
        typed[positional] = getattr(known, NAMED)
    from_file: dict[str, Any] = {}
    if known.config:
        from_file = read_yaml(known.config)
        build(cls, from_file, known.config)  # complain about the file even where the command line overrides it
    config = build(cls, from_file | typed)
    check_required(config, positional)
    return config, known


def make_parser(
    cls: Any, verb: str, summary: str, positional: str | None, switches: Mapping[str, str]
) -> argparse.ArgumentParser:
    """Return a parser whose groups are the classes that declare the options."""
    said = f"[{positional.upper()}]{'...' if type_of(cls, positional) is tuple else ''} " if positional else ""
    usage = f"crild {verb} {said}[options]"
    # Abbreviations would let a typo name another option. Nothing has a default here: only what was typed counts.
    parser = Parser(
        usage=usage,
        description=f"{summary[0].upper()}{summary[1:]}.",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=functools.partial(argparse.HelpFormatter, max_help_position=30),
    )
    groups: dict[str, Any] = {}
    for heading, fields in sections(cls):
        group = groups.get(heading) or groups.setdefault(heading, parser.add_argument_group(heading))
        for each in fields:
            add_option(group, cls, each, positional)
    group = parser.add_argument_group(HOW_TO_RUN)
    parser.set_defaults(config=None)
    if len(dataclasses.fields(cls)) > 1:
        what = "YAML file with any of the options above, which the command line overrides (default: none)"
        group.add_argument("--config", metavar="FILE", help=what)
    for name, what in switches.items():
        group.add_argument(flag(name), action="store_true", default=False, help=f"{what} (default: off)")
    group.add_argument("-h", "--help", action="help", help="show this help")
    return parser


def sections(cls: Any) -> list[tuple[str, list[dataclasses.Field]]]:
    """Return headings and their options, in the order in which their classes were declared."""
    owners = [base for base in cls.__mro__ if "declared" in vars(base)]
    by_owner: dict[Any, list[dataclasses.Field]] = {}
    for each in dataclasses.fields(cls):
        owner = next(base for base in owners if each.name in base.__annotations__)
        by_owner.setdefault(owner, []).append(each)
    return [(owner.__doc__.splitlines()[0], by_owner[owner]) for owner in sorted(by_owner, key=lambda o: o.declared)]


def add_option(group: Any, cls: Any, each: dataclasses.Field, positional: str | None) -> None:
    """Add one option to a group of a parser."""
    name, kind = each.name, type_of(cls, each.name)
    text = described(cls, each).replace("%", "%%")
    if name == positional:
        several = kind is tuple
        group.add_argument(name, nargs="*" if several else "?", metavar=name.upper(), help=text)
        group.add_argument(flag(name), dest=NAMED, nargs="+" if several else None, help=argparse.SUPPRESS)
    elif kind is bool and each.default is not None:
        # Help shows the one that changes something; the other one overrides a YAML file.
        for says in (True, False):
            shown = text if says != each.default else argparse.SUPPRESS
            group.add_argument(flag(name) if says else f"--no-{flag(name)[2:]}", dest=name, action="store_const",
                               const=says, help=shown)  # fmt: skip
    elif kind is bool:
        group.add_argument(flag(name), metavar="{true,false}", type=true_or_false, help=text)
    else:
        choices = choices_of(cls, name)
        what = {int: "N", float: "X"}.get(kind, "PATH" if is_place(cls, name) else name.rpartition("_")[2].upper())
        group.add_argument(flag(name), metavar=f"{{{','.join(choices)}}}" if choices else what, help=text)


def described(cls: Any, each: dataclasses.Field) -> str:
    """Return an option's line of help with its default."""
    if each.metadata.get("required"):
        others = [flag(name) for name in alternatives(cls, each.metadata["required"]) if name != each.name]
        alternative = f"this or {' or '.join(others)} is " if others else ""
        return f"{each.metadata['help']} ({alternative}required)"
    if isinstance(each.default, bool):
        return f"{each.metadata['off'] if each.default else each.metadata['help']} (default: off)"
    return f"{each.metadata['help']} (default: {each.metadata['unset'] if each.default is None else each.default})"


def alternatives(cls: Any, required: str) -> list[str]:
    """Return the options of which one must be given."""
    return [each.name for each in dataclasses.fields(cls) if each.metadata.get("required") == required]


def check_required(config: Any, positional: str | None = None) -> None:
    """Refuse a configuration that lacks what its verb cannot do without.

    Raises:
        CrildError: it names the first option that is missing.
    """
    for each in dataclasses.fields(config):
        required = each.metadata.get("required")
        if required and not any(getattr(config, name) for name in alternatives(config, required)):
            raise CrildError(f"{spelled(each.name, positional)} is missing: {each.metadata['help']}")


def check_paths(config: Any, positional: str | None = None) -> None:
    """Refuse a path that is not there, or cannot be written to, before anything that takes seconds is loaded.

    Raises:
        CrildError: it names the first such option.
    """
    for each in dataclasses.fields(config):
        name, kind = getattr(config, each.name), each.metadata.get("reads")
        if kind and name:
            for path in name if isinstance(name, tuple) else (name,):
                refuse_absent(spelled(each.name, positional), path, kind)
        if each.metadata.get("writes") and name:
            refuse_answers(spelled(each.name, positional), name, config.overwrite)


def spelled(name: str, positional: str | None) -> str:
    """Return how messages call an option."""
    return name.upper() if name == positional else flag(name)


def complain(parser: argparse.ArgumentParser, left: Sequence[str]) -> NoReturn:
    """Refuse what the parser did not know."""
    wrong = next((each for each in left if each.startswith("-")), left[0])
    name = wrong.split("=")[0]
    if not wrong.startswith("-"):
        raise CrildError(f"{wrong!r} is no option: options begin with --")
    known = [spelling for action in parser._actions for spelling in action.option_strings]
    raise CrildError(f"unknown option {name!r}{nearest(name, known)}")


def true_or_false(text: str) -> bool | str:
    """Return the switch that a text names; other texts are refused with all other values."""
    return {"true": True, "false": False}.get(text.lower(), text)


def flag(name: str) -> str:
    """Return how the command line spells an option."""
    return "--" + name.replace("_", "-")
