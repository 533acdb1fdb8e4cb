"""`crild play`: a server in a thread, asked as a browser and as a foreign page would ask it."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest

import crild
from crild.errors import CrildError
from crild.playground.answers import Player
from crild.playground.server import MOST_BYTES, MOST_CHARACTERS, Playground, render
from tests.conftest import complaint, reviews, write_jsonl
from tests.processes import Running

TEXTS = [
    "good film",
    "awful plot",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x00\ud83d 日本語 🙂",
    "film " * 300,
]


@contextmanager
def serving(folder):
    with Playground("127.0.0.1", 0) as server:
        server.open(crild.RunFolder.open(folder))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(student_run, student_export):
    with serving(student_run) as running:
        yield running


@pytest.fixture(scope="module")
def pair_run(tmp_path_factory, tiny_teacher):
    rows = [{"text": row["text"], "text_pair": f"pair {i}", "label": row["label"]} for i, row in enumerate(reviews(60))]
    folder = tmp_path_factory.mktemp("pairs")
    crild.distill(teacher=tiny_teacher, data=write_jsonl(folder / "pairs.jsonl", rows), student=1, method="kd",
                  max_steps=1, control=False, output=folder / "run")  # fmt: skip
    return folder / "run"


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection(*server.host_and_port, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    return response.status, json.loads(content) if is_json else content.decode(), response.headers


def question(server, **texts):
    return ask(server, "POST", "/answer", json.dumps(texts), Content_Type="application/json")[:2]


def predicted(model, rows, folder):
    crild.predict(model=model, data=rows, output=folder / "out.jsonl", overwrite=True)
    return pd.read_json(folder / "out.jsonl", lines=True)


def test_answers_are_those_of_predict(server, student_run, tiny_teacher, tmp_path):
    readable = [text for text in TEXTS if "\ud83d" not in text]
    rows = pd.DataFrame({"text": readable})
    expected = {"teacher": predicted(tiny_teacher, rows, tmp_path), "student": predicted(student_run, rows, tmp_path)}
    for i, text in enumerate(readable):
        status, found = question(server, text=text)
        assert status == 200
        answers = {each["model"]: each for each in found["answers"]}
        assert list(answers) == ["teacher", "student", "served"]
        for name, frame in expected.items():
            assert answers[name]["answer"] == frame["answer"][i]
            assert list(answers[name]["probabilities"]) == ["neg", "pos"]
            assert answers[name]["probabilities"]["pos"] == pytest.approx(frame["answer_probability_pos"][i], abs=1e-5)
            assert answers[name]["confidence"] == max(answers[name]["probabilities"].values())
        served, student = answers["served"], answers["student"]
        assert served["answer"] == student["answer"]
        about = json.loads((student_run / "served" / "serving.json").read_text())
        odds = [each["probabilities"]["pos"] / each["probabilities"]["neg"] for each in (served, student)]
        assert odds[0] ** about["temperature"] == pytest.approx(odds[1], rel=1e-3)
        assert all(0 < each["ms"] < 10_000 for each in answers.values())


def test_a_pair_is_answered_as_a_pair(pair_run, tmp_path):
    rows = pd.DataFrame({"text": ["good film", "a bad end"], "text_pair": ["bad plot", "the plot"]})
    expected = predicted(pair_run, rows, tmp_path)
    with serving(pair_run) as server:
        for i, row in enumerate(rows.to_dict("records")):
            _, found = question(server, **row)
            student = found["answers"][1]
            assert student["probabilities"]["pos"] == pytest.approx(expected["answer_probability_pos"][i], abs=1e-5)
        assert question(server, text="good film")[0] == 400
        assert 'id="text_pair"' in ask(server)[1]
        assert ask(server, path="/rows?group=all")[1]["rows"][0]["text_pair"].startswith("pair ")


def test_any_text_gets_an_answer_and_nothing_of_it_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for text in TEXTS:
        status, found = question(server, text=text)
        assert status == 200, found
        assert len(found["answers"]) == 3
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps({"text": " \n"}), 400),
        (json.dumps({"text": "a", "text_pair": "b"}), 400),
        (json.dumps({"text": ["a"]}), 400),
        (json.dumps(["a"]), 400),
        ("{", 400),
        (b"\xff\xfe", 400),
        (json.dumps({"text": "x" * (MOST_CHARACTERS + 1)}), 413),
        ("x" * (MOST_BYTES + 1), 413),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(server, body, status):
    found, said, _ = ask(server, "POST", "/answer", body, Content_Type="application/json")
    assert found == status
    assert list(said) == ["error"]
    assert "\n" not in said["error"]


def test_a_foreign_page_is_refused(server):
    """DNS rebinding: a name of somebody else's that points here; and forms and scripts of other pages."""
    _, port = server.host_and_port
    for host in ("evil.example", f"evil.example:{port}", "10.1.2.3", "127.0.0.1.evil.example", "[::1", "a@b"):
        for path in ("/", "/rows"):
            assert ask(server, path=path, Host=host)[0] == 403, host
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "[::1]:80", "LOCALHOST"):
        assert ask(server, Host=host)[0] == 200, host
    text = json.dumps({"text": "good"})
    for headers, status in (
        ({"Content_Type": "text/plain"}, 415),
        ({}, 415),
        ({"Content_Type": "application/json", "Origin": "http://evil.example"}, 403),
        ({"Content_Type": "application/json", "Origin": "null"}, 403),
        ({"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}, 200),
    ):
        assert ask(server, "POST", "/answer", text, **headers)[0] == status, headers
    assert ask(server, "OPTIONS", "/answer")[0] == 501


def test_an_address_of_another_machine_may_be_asked_for_by_number_alone():
    with Playground("0.0.0.0", 0) as server:
        assert not server.is_local
        assert [server.is_own(each) for each in ("10.1.2.3:80", "localhost", "evil.example")] == [True, True, False]


def test_the_page_needs_nothing_else(server):
    status, page, headers = ask(server)
    assert status == 200
    nonce = re.search(r"script-src 'nonce-([^']+)'", headers["Content-Security-Policy"])[1]
    assert re.findall(r"<(?:script|style)[^>]*>", page) == [f'<style nonce="{nonce}">', f'<script nonce="{nonce}">']
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert re.findall(r"(?:src|href)=\"([^\"]*)", page) == ["data:,"]
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write", page)
    assert ask(server, path="/secret")[0] == ask(server, "POST", "/secret")[0] == 404


def test_what_comes_from_a_run_is_escaped(server, student_run, tmp_path):
    nasty = "<img src=x onerror=alert(1)>"
    copied = tmp_path / nasty
    copied.mkdir()
    for name in ("config.yaml", "result.json"):
        shutil.copy(student_run / name, copied)
    players = replace(server.players, players=(Player("teacher", f"</script>{nasty}", lambda text: None),))
    page = render(crild.RunFolder.open(copied), players, None, "n")
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2  # title and heading
    assert page.count("</script>") == 1
    assert "Where teacher and student differ" not in page


def test_rows_are_sent(server):
    status, found, _ = ask(server, path="/rows?group=all&words=film&first=0")
    assert status == 200
    assert found == server.differences.page("all", "film", 0)
    for query in ("group=none", "first=-1", "first=x", "first=%C2%B2", f"first={'9' * 30}"):
        assert ask(server, path=f"/rows?{query}")[0] == 400, query


def test_a_run_without_a_student_or_export_is_its_teacher_alone(tiny_teacher):
    with serving(tiny_teacher.parent) as server:
        assert [each["model"] for each in question(server, text="good film")[1]["answers"]] == ["teacher"]
        assert ask(server, path="/rows")[0] == 404
        assert "Where teacher and student differ" not in ask(server)[1]


def test_a_busy_port_is_one_line_before_anything_is_loaded(cli, student_run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = cli("play", student_run, "--port", port)
    assert (code, out) == (2, "")
    assert (
        complaint(err)
        == f"crild: error: --port {port}: another program listens there; choose another one, or 0 for any that is free"
    )
    for host, why in (("no.such.host.invalid", "there is no such host"), ("192.0.2.1", "no address of this machine")):
        with pytest.raises(CrildError, match=f"--host {host}: {why}"):
            Playground(host, 0)


def test_ctrl_c_ends_it_cleanly(student_run):
    running = Running(["play", student_run, "--port", "0"])
    printed = running.folder / "stdout"
    for _ in range(600):
        if printed.exists() and "Ctrl-C ends it" in printed.read_text():
            break
        time.sleep(0.1)
    os.kill(running.pid, signal.SIGINT)
    ended = running.finish(60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].startswith("http://127.0.0.1:")
    assert ended.stderr.splitlines()[-1] == "stopped"
