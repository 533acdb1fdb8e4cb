"""Small files of data."""

from crild.config import FinetuneConfig
from crild.data.task import load_task


def load(path, **options):
    return load_task(FinetuneConfig(data=str(path), **options))


def write(path, *lines, newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(newline.join([*lines, ""]).encode())
    return path
