"""A small grid."""

SMALL = {"student": 2, "max_steps": 4, "precision": "fp32"}


def grid(**changes):
    return {"tasks": ["a/films"], "methods": ["kd", "cr-ild"], "options": {"base": "enc", **SMALL}, **changes}
