"""Steering as methods of the person benchmark, with the controls that belong beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from allport.evaluation.person_cells import PersonMethod

if TYPE_CHECKING:
    from allport.alignment.population_store import PopulationStore
    from allport.models.transformers_model import TransformersModel

__all__ = ["steering_methods"]

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
    share = len(people) / len(store) if len(store) else 0.0
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
        for name, alignments in (
            (SIGN_FLIPPED, flipped),
            (RANDOM_DIRECTION, PeopleAlignments(random)),
        ):
            respondent = model.aligned(alignments)
            methods.append(PersonMethod.of_respondent(name, respondent, with_prompts=False))
    return methods
