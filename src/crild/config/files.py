"""A run's options from a YAML file."""

from pathlib import Path
from typing import Any

import yaml

from crild.errors import CrildError


def read_yaml(path: str) -> dict[str, Any]:
    """Read a run's YAML file: one level of ``option: value``.

    Raises:
        CrildError: the file is missing or is not such YAML.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CrildError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CrildError(f"{path}: not readable ({error})") from None
    except RecursionError:
        raise CrildError(f"{path}: not valid YAML (nested too deeply)") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise CrildError(f"{path}: {line}not valid YAML ({getattr(error, 'problem', None) or 'syntax'})") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise CrildError(f"{path}: a run's YAML holds lines of `option: value`")
    return {key.replace("-", "_"): value for key, value in values.items()}
