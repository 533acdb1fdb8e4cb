"""What an export needs to be installed."""

import pytest

from crild.config import ExportConfig
from crild.errors import CrildError
from crild.serving import packages


def test_what_is_missing_is_named_with_what_installs_it(monkeypatch):
    packages.refuse_missing(ExportConfig(trim_vocabulary="auto"))
    absent = {"onnxruntime", "skeletoken", "openvino"}
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in absent else object())
    for options, said in [
        ({}, r"--format onnx needs onnxruntime: .*\[serve\]"),
        ({"format": "openvino"}, r"--format openvino needs openvino: .*\[openvino\]"),
    ]:
        with pytest.raises(CrildError, match=said):
            packages.refuse_missing(ExportConfig(**options))
    absent -= {"onnxruntime"}
    packages.refuse_missing(ExportConfig())
    with pytest.raises(CrildError, match=r"--trim-vocabulary needs skeletoken: .*\[serve\]"):
        packages.refuse_missing(ExportConfig(trim_vocabulary="auto"))


def test_another_version_of_transformers_is_told(monkeypatch, caplog):
    monkeypatch.setattr(packages, "version", lambda name: "5.24.1")
    packages.warn_of_version()
    assert "export was tested with transformers 5.23, and this is 5.24.1" in caplog.text
    caplog.clear()
    monkeypatch.setattr(packages, "version", lambda name: "5.23.9")
    packages.warn_of_version()
    assert caplog.text == ""
