"""The demo, small, the whole of it."""

import pytest

from crild.cli import main
from crild.demo import run_demo, settings, show_demo
from crild.errors import CrildError


@pytest.mark.slow
def test_a_small_demo_from_end_to_end(tmp_path, capsys):
    values = settings()
    assert values["data"] == "demo:1200"
    values["data"] = "demo:100"
    values["train"] |= {"max_steps": 2, "train_rows": 80}
    result = run_demo(str(tmp_path / "demo"), values)
    assert all(0 <= result[name]["score"] <= 1 for name in ("teacher", "control", "kd", "student"))
    assert result["kd"]["parameters"] == result["student"]["parameters"] < result["teacher"]["parameters"]
    assert (result["rows"]["supplementary"], result["rows"]["validation"]) == (2500, 100)
    show_demo(result)
    out = capsys.readouterr().out
    for name in ("student without teacher", "plain KD", "CR-ILD", "always the same answer", "crild evaluate"):
        assert name in out
    assert run_demo(str(tmp_path / "demo"), values)["student"]["score"] == result["student"]["score"]
    with pytest.raises(CrildError, match="another version"):
        run_demo(str(tmp_path / "demo"))


def test_a_foreign_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "holds no demo" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
