"""The options that say under which conditions an inventory is asked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import Group, Parameter

from allport.cli.lists import listed
from allport.cli.output import Flag
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.administration import Design
    from allport.inventories import Inventory
    from allport.personas import Persona

__all__ = ["DesignOptions", "PlannedDesign"]

_CONDITIONS = Group("Conditions", sort_key=2)
_NO_PERSONA = "none"


class PlannedDesign(NamedTuple):
    """A design with the personas that it names."""

    design: Design
    personas: tuple[Persona, ...]


@Parameter(name="*", group=_CONDITIONS)
@dataclass(frozen=True)
class DesignOptions:
    """Templates x option orders x forms x personas x repeats."""

    templates: str = "standard"
    """Question templates, separated by commas; standard is letters,digits for statements, and
    advice-after,advice-before,advice-bare for situations."""
    orders: str = "standard"
    """Option orders: forward, reversed, digits such as 0132, or standard, williams, published,
    all."""
    forms: str = "original"
    """Wordings of the items, separated by commas."""
    personas: Annotated[
        tuple[str, ...], Parameter(name=("--persona", "--personas"), show_default=False)
    ] = ()
    """A persona as trait levels, such as "extraversion=high,N=-0.5", or none; can be repeated."""
    people: Annotated[tuple[Path, ...], Parameter(name="--person", show_default=False)] = ()
    """A person file to take on as a persona; can be repeated."""
    repeats: int = 1
    """How often each question is asked."""
    reading: Literal["distribution", "generation", "likelihood"] = "distribution"
    """Probabilities of the labels, written text, or how likely the text of each unlisted option is.
    """
    pmi: Flag = False
    """Take off how likely each text is after a neutral prompt, where likelihoods are read."""
    label_prior: float = 0.0
    """Share of items asked in every order; the others in one, less what labels get by themselves.
    """
    fraction: float = 1.0
    """Share of the conditions to ask, as a balanced fraction."""
    seed: int = 0
    """Seed of the fraction and of sampled answers."""
    limit: int | None = None
    """Ask only so many items, spread evenly over traits and their facets, keys mixed."""

    def build(self, inventory: Inventory) -> PlannedDesign:
        """The design and its personas for an inventory.

        Raises:
            UsageError: An option does not fit.
            ResponsesError: A person file does not hold.
        """
        from allport.administration import Design, standard_templates
        from allport.personas import TraitLevels, read_person

        personas: list[Persona] = []
        names: list[str] = []
        for text in self.personas:
            if text.strip().lower() == _NO_PERSONA:
                names.append("")
                continue
            persona = TraitLevels.parse(text)
            personas.append(persona)
            names.append(persona.name)
        for path in self.people:
            person = read_person(path)
            personas.append(person)
            names.append(person.name)
        design = Design(
            templates=standard_templates(inventory, self.reading)
            if self.templates == "standard"
            else listed(self.templates),
            orders=listed(self.orders),
            forms=listed(self.forms),
            personas=tuple(names) or ("",),
            repeats=self.repeats,
            reading=self.reading,
            pmi=self.pmi,
            label_prior=self.label_prior,
            fraction=self.fraction,
            seed=self.seed,
            items=_first_items(inventory, self.limit),
        )
        return PlannedDesign(design, tuple(personas))


def _first_items(inventory: Inventory, limit: int | None) -> tuple[int, ...]:
    """Numbers of `limit` items, spread and in order; none (which means all) without a limit."""
    if limit is None:
        return ()
    if limit < 1:
        raise UsageError(f"--limit is {limit}; ask at least one item.")
    if limit >= len(inventory.items):
        return ()
    from allport.inventories import spread_items

    chosen = {item.number for item in islice(spread_items(inventory.items), limit)}
    return tuple(number for number in inventory.numbers if number in chosen)
