"""The options that say in whose place a model answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from allport.errors import ModelError, UsageError

if TYPE_CHECKING:
    from allport.alignment import Alignment
    from allport.models import Respondent

__all__ = ["AlignmentOptions"]

_GROUP = Group("Alignment", sort_key=3)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class AlignmentOptions:
    """Alignments that allport align wrote."""

    alignment: Annotated[tuple[Path, ...], Parameter(name="--alignment", show_default=False)] = ()
    """A folder that allport align wrote; several are added up."""
    person: Annotated[str | None, Parameter(name="--as")] = None
    """Whose, by id, where the folder holds many people; of one person only their own name."""
    scale: Annotated[float, Parameter(name="--scale")] = 1.0
    """Factor on the strength: 0 is the plain model, -1 the opposite."""

    def chosen(self) -> Alignment | None:
        """What the folders add up to; None where none is named.

        Raises:
            UsageError: An option does not fit.
            AlignmentError: A folder holds no alignment, or they are for different models.
            ResponsesError: The person is not among those of a folder.
        """
        if not self.alignment:
            if self.person is not None or self.scale != 1.0:
                raise UsageError("--as and --scale go with --alignment.")
            return None
        from allport.alignment import StoredAlignments, compose, load_alignment, open_population

        found: list[Alignment] = []
        for folder in self.alignment:
            if _holds_many(folder):
                if self.person is None:
                    raise UsageError(f"{folder} holds many people; say whose with --as ID.")
                found.append(StoredAlignments(open_population(folder)).alignment(self.person))
            else:
                found.append(load_alignment(folder))
        if self.person is not None and not any(map(_holds_many, self.alignment)):
            other = next((each.name for each in found if each.name != self.person), None)
            if other is not None:
                raise UsageError(
                    f"--as {self.person} names nobody here: the alignment is to {other} alone, so "
                    "leave --as out, or give a folder of many people."
                )
        whole = compose(*found) if len(found) > 1 else found[0]
        return whole.scale(self.scale)

    def aligned(self, respondent: Respondent) -> Respondent:
        """The respondent in the place of these people; itself where none is named.

        Raises:
            UsageError: An option does not fit.
            AlignmentError: A folder holds no alignment, or one for another model.
            ResponsesError: The person is not among those of a folder.
            ModelError: The model is not on this machine.
        """
        from allport.models import TransformersModel

        whole = self.chosen()
        if whole is None:
            return respondent
        if not isinstance(respondent, TransformersModel):
            raise ModelError(
                f"{respondent.name} is not on this machine, so it cannot be steered; measure it "
                "with --person or --persona."
            )
        return respondent.aligned(whole, f"{respondent.name} as {whole.name}")


def _holds_many(folder: Path) -> bool:
    return (folder / "population.json").is_file()
