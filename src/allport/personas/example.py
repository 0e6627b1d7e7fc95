"""The person file that ships as an example."""

from __future__ import annotations

from importlib.resources import as_file, files

from allport.personas.person import Person, read_person

__all__ = ["example_person"]


def example_person() -> Person:
    """A person whose answers were made by a program, and who says so (`simulated`)."""
    with as_file(files("allport.personas").joinpath("data/example_person.json")) as path:
        return read_person(path)
