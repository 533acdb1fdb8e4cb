"""The named recipes. A method is data: objective, layer map, interpolation, consistency and stages."""

from crild.methods.recipe import Recipe
from crild.methods.registry import METHODS, Method, PhaseSpec, find_method

__all__ = ["METHODS", "Method", "PhaseSpec", "Recipe", "find_method"]
