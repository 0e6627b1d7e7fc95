"""Alignments as methods of the person benchmark, with the controls that belong beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from allport.errors import UsageError
from allport.evaluation.person_cells import PersonMethod

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.alignment.population_store import PopulationStore
    from allport.models.steering import Aligning
    from allport.models.transformers_model import TransformersModel

__all__ = ["alignment_methods", "steering_methods"]

STEERING: Final = "steering"
SIGN_FLIPPED: Final = "sign-flipped"
RANDOM_DIRECTION: Final = "random direction"


def steering_methods(
    model: TransformersModel,
    store: PopulationStore,
    people: Sequence[str],
    *,
    controls: bool = True,
    seed: int = 0,
) -> list[PersonMethod]:
    """Steering by a fitted population, and its two controls.

    "sign-flipped" takes away what steering adds; "random direction" adds as much at the same heads
    in a direction of no meaning. Controls are not asked together with prompts.

    Args:
        model: What the population was fitted on.
        store: From `open_population`.
        people: Ids of the people who will be asked for.
        controls: Whether to add the controls.
        seed: Of the random directions.

    Raises:
        ResponsesError: Somebody is not in the store, or was excluded when it was fitted.
        AlignmentError: The store was made for another model.
    """
    from allport.alignment.controls import random_direction
    from allport.alignment.people_alignments import PeopleAlignments, StoredAlignments

    stored = StoredAlignments(store)
    seconds = store.about.get("fit_seconds")
    # Who was excluded took no time.
    fitted = len(store) - sum(store.excluded.values())
    share = len(people) / fitted if fitted else 0.0
    # Everybody is looked up before anybody is asked.
    own = {person: stored.alignment(person) for person in people}
    methods = [
        PersonMethod.of_respondent(
            STEERING,
            model.aligned(stored),
            fit_seconds=None if seconds is None else share * float(seconds),
        )
    ]
    if controls:
        flipped: StoredAlignments = StoredAlignments(store, factor=-1.0)
        random = {person: random_direction(each, seed) for person, each in own.items()}
        methods.append(_control(model, STEERING, SIGN_FLIPPED, flipped))
        methods.append(_control(model, STEERING, RANDOM_DIRECTION, PeopleAlignments(random)))
    return methods


def alignment_methods(
    model: TransformersModel,
    alignments: Mapping[str, Alignment],
    people: Sequence[str],
    *,
    controls: bool = True,
    seed: int = 0,
) -> list[PersonMethod]:
    """Alignments to one person each, by whatever method, as a cell named by the method.

    What displaces the model brings its two controls, as `steering_methods` does; what was
    fine-tuned has no direction, and words have none. What says words of its own is not asked
    together with prompts.

    Args:
        model: What they were fitted on.
        alignments: By person id; see `load_alignments`.
        people: Ids of the people who will be asked for.
        controls: Whether to add the controls.
        seed: Of the random directions.

    Raises:
        UsageError: Somebody has none, or they were made by different methods.
        AlignmentError: One was made for another model.
    """
    from allport.alignment.controls import random_direction, sign_flipped
    from allport.alignment.people_alignments import PeopleAlignments

    missing = [person for person in people if person not in alignments]
    if missing:
        raise UsageError(f"There is no alignment to person {missing[0]}; align to them as well.")
    own = {person: alignments[person] for person in people}
    names = sorted({each.method for each in own.values()})
    if len(names) != 1:
        raise UsageError(
            f"These alignments were made by {' and '.join(names) or 'nobody'}; a cell is one "
            "method, so keep each method's in a folder of its own."
        )
    [name] = names
    known = all("seconds" in each.fit for each in own.values())
    methods = [
        PersonMethod.of_respondent(
            name,
            model.aligned(PeopleAlignments(own)),
            with_prompts=not any(each.prompt for each in own.values()),
            fit_seconds=sum(each.fit["seconds"] for each in own.values()) if known else None,
        )
    ]
    if controls and all(each.parts and not each.adapters for each in own.values()):
        flipped = {person: sign_flipped(each) for person, each in own.items()}
        random = {person: random_direction(each, seed) for person, each in own.items()}
        for control, made in ((SIGN_FLIPPED, flipped), (RANDOM_DIRECTION, random)):
            methods.append(_control(model, name, f"{name}, {control}", PeopleAlignments(made)))
    return methods


def _control(
    model: TransformersModel, method: str, name: str, alignments: Aligning
) -> PersonMethod:
    return PersonMethod.of_respondent(
        name, model.aligned(alignments), with_prompts=False, control_of=method
    )
