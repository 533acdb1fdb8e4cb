"""What the exporters say and complain of."""

import logging
import warnings

from crild.serving.tracing import MOST_TEXT, refusal, silent
from tests.architectures import small_model


def test_exporters_print_nothing_and_what_was_silenced_comes_back(capsys, caplog):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with silent():
            print("step 1")
            logging.getLogger("torch").warning("a remark")
            warnings.warn("another", stacklevel=1)
        assert (capsys.readouterr().out, caplog.text, seen) == ("", "", [])
        print("after")
        logging.getLogger("torch").warning("a remark")
        warnings.warn("another", stacklevel=1)
    assert (capsys.readouterr().out, len(seen)) == ("after\n", 1)
    assert "a remark" in caplog.text


def test_an_exporter_that_sets_up_logging_changes_nothing_that_is_said_afterwards(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    with silent():
        logging.info("which calls logging.basicConfig")
        assert logging.root.handlers
    assert logging.root.handlers == []


def test_a_refusal_is_one_short_line_that_names_the_architecture():
    said = str(refusal(small_model("bert"), "ONNX", RuntimeError("first\n" + "x" * 9000)))
    assert said.startswith("BertForSequenceClassification (bert) cannot be exported to ONNX: ")
    assert said.endswith("(first)")
    assert len(str(refusal(small_model("bert"), "ONNX", RuntimeError("x" * 9000)))) < 200 + MOST_TEXT
