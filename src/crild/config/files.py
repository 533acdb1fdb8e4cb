"""A run's options from a YAML file."""

from pathlib import Path
from typing import Any

import yaml

from crild.errors import CrildError, first_line

MOST_VALUES, MOST_NESTED = 100_000, 20  # no run and no grid says more


class _Loader(yaml.SafeLoader):
    """Reads plain values alone, refuses what the last one would win, and what grows beyond measure."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            size, depth = _measure(node, {})
            if size > MOST_VALUES or depth > MOST_NESTED:
                raise yaml.YAMLError("nested too deeply" if depth > MOST_NESTED else "its aliases make too many values")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        known: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in known:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            known.add(str(key.value))
        return super().construct_mapping(node, deep)


def _measure(node: Any, known: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """Return how many values a node stands for, and how deep they are nested, with every alias written out."""
    if id(node) not in known:
        known[id(node)] = (float("inf"), float("inf"))  # as long as it is measured: it may hold itself
        inside = [] if isinstance(node, yaml.ScalarNode) else node.value
        members = [each for pair in inside for each in (pair if isinstance(pair, tuple) else (pair,))]
        found = [_measure(each, known) for each in members]
        known[id(node)] = (1 + sum(size for size, _ in found), 1 + max((depth for _, depth in found), default=0))
    return known[id(node)]


def read_yaml(path: str) -> dict[str, Any]:
    """Read a run's YAML file: one level of ``option: value``.

    Raises:
        CrildError: the file is missing or is not such YAML.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8-sig"), _Loader)  # safe: plain values alone
    except FileNotFoundError:
        raise CrildError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CrildError(f"{path}: not readable ({error})") from None
    except RecursionError:
        raise CrildError(f"{path}: not valid YAML (nested too deeply)") from None
    except Exception as error:  # PyYAML's own, and what Python's types say of their texts: 2026-02-30
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise CrildError(
            f"{path}: {line}not valid YAML ({getattr(error, 'problem', None) or first_line(error)})"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise CrildError(f"{path}: a run's YAML holds lines of `option: value`")
    return {key.replace("-", "_"): value for key, value in values.items()}
