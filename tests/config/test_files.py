"""YAML files."""

import pytest
import yaml

from crild.config import as_dict, build, read_yaml
from crild.errors import CrildError
from tests.config.values import OPTIONS, VERBS, taken


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_goes_through_yaml_and_back(verb, tmp_path):
    cls = VERBS[verb]
    values = {name: taken(name) for name in as_dict(cls())}
    config = build(cls, values)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(as_dict(config)))
    assert build(cls, read_yaml(str(path)), str(path)) == config
    path.write_text(yaml.safe_dump({name.replace("_", "-"): value for name, value in as_dict(config).items()}))
    assert build(cls, read_yaml(str(path))) == config
    assert as_dict(config) == values
    assert not [name for name, value in values.items() if value == OPTIONS[name][1].default]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: [1\nmethod", "line 2: not valid YAML"),
        (b"- seed", "holds lines of `option: value`"),
        (b"1: 2", "holds lines of `option: value`"),
        (b"seed: \xe9", "not readable"),
        (b"[" * 1500, "not valid YAML"),
    ],
)
def test_a_broken_file_is_one_line(content, message, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(CrildError, match=f"^{path}: .*{message}") as caught:
        read_yaml(str(path))
    assert "\n" not in str(caught.value)


def test_an_empty_file_says_nothing_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert read_yaml(str(tmp_path / "empty.yaml")) == {}
    with pytest.raises(CrildError, match=r"no such file: .*none\.yaml"):
        read_yaml(str(tmp_path / "none.yaml"))
