"""What `crild` offers, and that it stays what it is whatever was imported before."""

import importlib
import pkgutil
from importlib.util import find_spec
from inspect import isclass, isfunction

import crild


def test_public_names_stay_what_is_documented_after_every_module_was_imported():
    for module in pkgutil.walk_packages(crild.__path__, "crild."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in crild.__all__:
        thing = getattr(crild, name)
        assert isfunction(thing) or isclass(thing), f"crild.{name} is {thing!r}"
        assert thing.__name__ == name
        assert find_spec(f"crild.{name}") is None, f"crild.{name} is also a module"
