"""The picture of what serving costs."""

import re

from tools.serving_picture import CELL, SERIES, picture


def found(slow=10.0):
    models, times = {}, {}
    for vocabulary, engine in (*SERIES, ("trimmed", "PyTorch")):
        for layers in (0, 3, 6):
            name = f"{layers}, {vocabulary}, {engine}"
            size = (10 + layers) * 1e6 / (4 if "int8" in engine else 1) / (2 if vocabulary == "trimmed" else 1)
            models[name] = {"layers": layers, "vocabulary": vocabulary, "engine": engine, "bytes": size,
                            "score": 0.6 + layers / 20}  # fmt: skip
            times[name] = (0.1 + layers) * (1.0 if "int8" in engine else slow)
    return {"models": models, "cells": {CELL: {"ms": times}}, "machine": {"threads": 2}}


def test_every_runtime_is_a_line_from_the_static_student_to_the_teacher():
    text = picture(found())
    assert text == picture(found())
    for label, _, _ in SERIES.values():
        assert f">{label}</text>" in text
    uses = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: (#\w+)', text)
    grey = [(float(x), float(y)) for x, y, colour in uses if colour == "#8a8a8a"]
    blue = [(float(x), float(y)) for x, y, colour in uses if colour == "#1b6ca8"]
    assert (len(grey), len(blue)) == (3 + 1, 3 + 1)  # the last of each is the legend's
    grey, blue = grey[:3], blue[:3]
    assert grey == sorted(grey, key=lambda each: (each[0], -each[1]))  # slower and better with every layer
    assert all(fast[0] < slow[0] and fast[1] == slow[1] for fast, slow in zip(blue, grey, strict=True))
    assert text.count(">static</text>") == sum(filled for _, _, filled in SERIES.values())
    assert text != picture(found(slow=11.0))
