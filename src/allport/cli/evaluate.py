"""`allport evaluate`: how near a model comes to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from allport.cli.lists import listed
from allport.cli.measure import new_run_folder, resuming
from allport.cli.model_options import ModelOptions
from allport.cli.output import Json, console, notice, print_json
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.evaluation import (
        BenchmarkPeople,
        CellPlan,
        OpenEndedScores,
        PersonMethod,
        PersonPrompts,
        PersonReport,
        PersonScores,
    )
    from allport.models import Respondent
    from allport.psychometrics.estimate import Estimate

__all__ = ["person_"]

_WHO = Group("People", sort_key=1)
_HOW = Group("Asking", sort_key=2)
_MORE = Group("Beyond the questionnaire", sort_key=2)
_RESULT = Group("Result", sort_key=3)
_SHORT_NAME = "person"


def person_(
    model: str,
    /,
    *,
    people: Annotated[str | None, Parameter(group=_WHO)] = None,
    stored: Annotated[Literal["keyed", "literal"] | None, Parameter(group=_WHO)] = None,
    simulate: Annotated[int | None, Parameter(group=_WHO)] = None,
    limit_people: Annotated[int | None, Parameter(group=_WHO)] = None,
    alignments: Annotated[tuple[Path, ...], Parameter(group=_HOW, show_default=False)] = (),
    prompts: Annotated[str, Parameter(group=_HOW)] = "few-shot",
    test_items: Annotated[int | None, Parameter(group=_HOW)] = None,
    shots: Annotated[int | None, Parameter(group=_HOW)] = None,
    templates: Annotated[str, Parameter(group=_HOW)] = "letters",
    orders: Annotated[str, Parameter(group=_HOW)] = "forward,reversed",
    reading: Annotated[Literal["distribution", "generation"], Parameter(group=_HOW)] = (
        "distribution"
    ),
    engine: Annotated[Literal["local", "ray"], Parameter(group=_HOW)] = "local",
    seed: Annotated[int, Parameter(group=_HOW)] = 0,
    side_effects: Annotated[int | None, Parameter(group=_MORE)] = None,
    judge: Annotated[tuple[str, ...], Parameter(group=_MORE, show_default=False)] = (),
    open_people: Annotated[int, Parameter(group=_MORE)] = 10,
    out: Annotated[Path | None, Parameter(group=_RESULT)] = None,
    json: Annotated[Json, Parameter(group=_RESULT)] = False,
    options: ModelOptions = ModelOptions(),
) -> None:
    """Ask a model in the place of people, and compare with what they answered.

    The model is asked as it is, told the answers that each person gave to the 120 items of the
    short form, and aligned by --alignments, with both and with two controls; it is tested on the
    other 180 items. What needs no model (constants, means, regression) stands beside it. The same
    command with the same --out goes on where it stopped.

    Args:
        model: embedded, a local folder, a Hugging Face id, or openai:NAME.
        people: A file of people who answered the IPIP-NEO-300, or WestlakeNLP/PAPI-300K. It is
            taken for a PAPI file unless --stored is given.
        stored: literal for answers as given, keyed where reversed items are reversed already.
        simulate: Take so many simulated people, who are nobody, instead of a file.
        limit_people: Ask in the place of the first so many people only; baselines take everybody.
        alignments: What allport align wrote: one folder of many people, or a folder that holds one
            for each person, named by id. It is asked too, alone and with each prompt, beside its
            sign turned and a random direction where it steers. Give it again for another one; those
            of one method are told apart by their folders.
        prompts: What is said of a person: few-shot, description, adjectives, separated by commas,
            or none.
        test_items: Ask only so many of the test items, 5 or more, spread evenly over traits and
            their facets.
        shots: Say only so many of a person's answers in the prompt, for models of short context.
        templates: Question templates, separated by commas.
        orders: Option orders, separated by commas. The published work used reversed alone.
        reading: Read answers from the probabilities of the labels, or generate text and parse it.
        engine: Where the questionnaire is asked: in this process, or over a Ray cluster whose
            machines load MODEL themselves.
        seed: Of simulated people, of which test items are asked, of sampled answers and of
            resampling.
        side_effects: In the place of how many people fluency on neutral text is measured; 10 for
            local models, none for services, which do not give what it takes.
        judge: A model that judges open answers, named as MODEL is; give it twice or more to know
            how far judges agree. Without one nothing is written. Judges take the options of their
            kind, but for --temperature and --revision.
        open_people: In the place of how many people open answers are written.
        out: Folder of the benchmark; by default runs/MODEL-person-TIME.
        json: Print JSON for machines.
        options: How models are loaded or asked.
    """
    from allport.evaluation import (
        person_report,
        plan_cells,
        run_person_benchmark,
        write_person_report,
    )
    from allport.evaluation.open_ended_run import check_judges
    from allport.evaluation.person_reporting import report_json

    everybody = _people(people, stored, simulate, seed)
    if test_items is not None:
        everybody = everybody.with_test_items(test_items, seed=seed)
    asked = _first(everybody, limit_people, "--limit-people")
    said = _prompts(everybody, listed(prompts), shots)
    affected = _affected(model, side_effects)
    if judge:
        _first(everybody, open_people, "--open-people")
    named = (model, *judge)
    judges = [options.for_judge(name, named).load(name) for name in judge]
    if judges:
        check_judges(judges)
    respondent = options.among(model, named).load(model)
    methods = _methods(respondent, alignments, [everybody.ids[row] for row in asked], seed)
    cells = plan_cells(methods, said)
    folder = new_run_folder(model, _SHORT_NAME) if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder with --out.")
    notice(f"Benchmark folder: {folder}")
    with resuming(folder):
        found = run_person_benchmark(
            respondent,
            everybody,
            methods,
            prompts=said,
            asked=asked,
            folder=folder,
            templates=listed(templates),
            orders=listed(orders),
            reading=reading,
            engine=engine,
            seed=seed,
            progress=None if json else "bar",
        )
        who = found.people
        report = person_report(
            found,
            side_effects=_side_effects(respondent, cells, who, affected),
            open_ended=_open_ended(respondent, cells, who, judges, open_people, folder, seed),
            seed=seed,
        )
    files = write_person_report(report, folder)
    if json:
        print_json({"folder": str(folder), **report_json(report)})
        return
    _print(report)
    console().print(f"Everything with its intervals: {files.page}", style="bold")


def _people(
    source: str | None, stored: Literal["keyed", "literal"] | None, simulate: int | None, seed: int
) -> BenchmarkPeople:
    from allport.corpora import read_papi, read_people, simulate_people
    from allport.evaluation import benchmark_people
    from allport.inventories import load_inventory

    if (source is None) == (simulate is None):
        raise UsageError("Say in whose place to ask: --people FILE, or --simulate 100.")
    inventory = load_inventory("ipip-neo-300")
    if source is None:
        if stored is not None:
            raise UsageError("--stored is for --people; leave it out with --simulate.")
        if simulate is None or simulate < 1:
            raise UsageError(f"--simulate {simulate} makes nobody; give 1 or more.")
        return benchmark_people(simulate_people(simulate, inventory, seed=seed).corpus)
    if stored is None:
        return benchmark_people(read_papi(source))
    return benchmark_people(read_people(source, inventory, stored=stored))


def _methods(
    model: Respondent, places: Sequence[Path], people: list[str], seed: int
) -> list[PersonMethod]:
    """What the folders hold; those of a method that two of them hold are named by folder, too."""
    full = [place.resolve() for place in places]
    if twice := next((place for place in places if full.count(place.resolve()) > 1), None):
        raise UsageError(f"--alignments names {twice} twice; name each folder once.")
    ends = Counter(place.name for place in full)
    found = {
        place if ends[whole.name] > 1 else whole.name: _steering(model, place, people, seed)
        for place, whole in zip(places, full, strict=True)
    }
    taken = Counter(method.name for methods in found.values() for method in methods)
    told_apart = []
    for place, methods in found.items():
        if any(taken[method.name] > 1 for method in methods):
            for method in methods:
                of = method.control_of and f"{method.control_of} ({place})"
                named = replace(method, name=f"{method.name} ({place})", control_of=of)
                told_apart.append(named)
        else:
            told_apart += methods
    return told_apart


def _steering(model: Respondent, folder: Path, people: list[str], seed: int) -> list[PersonMethod]:
    from allport.alignment import load_alignments, open_population
    from allport.evaluation import alignment_methods, steering_methods
    from allport.models import TransformersModel

    if not isinstance(model, TransformersModel):
        raise UsageError(
            f"{model.name} cannot be steered from here; --alignments takes a local model."
        )
    if (folder / "population.json").is_file():
        return steering_methods(model, open_population(folder), people, seed=seed)
    return alignment_methods(model, load_alignments(folder, people), people, seed=seed)


def _prompts(
    people: BenchmarkPeople, kinds: tuple[str, ...], shots: int | None
) -> list[PersonPrompts]:
    from allport.evaluation import few_shot, in_words

    if shots is not None and "few-shot" not in kinds:
        raise UsageError("--shots is for the few-shot prompt, which --prompts leaves out.")
    if kinds == ("none",):
        return []
    return [
        few_shot(people, shots) if kind == "few-shot" else in_words(people, kind) for kind in kinds
    ]


def _first(people: BenchmarkPeople, limit: int | None, option: str) -> range:
    count = len(people.ids)
    if limit is not None and limit < 1:
        raise UsageError(f"{option} {limit} asks for nobody; give 1 or more.")
    return range(count if limit is None else min(limit, count))


def _affected(model: str, given: int | None) -> int:
    """In the place of how many people side effects are measured."""
    service = model.startswith("openai:")
    if service and given:
        raise UsageError(
            f"--side-effects takes probabilities of whole sentences, which {model} does not give; "
            "leave it out."
        )
    return (0 if service else 10) if given is None else given


def _side_effects(
    model: Respondent, cells: tuple[CellPlan, ...], people: BenchmarkPeople, count: int
) -> Mapping[str, Mapping[str, Estimate]] | None:
    from allport.evaluation import measure_side_effects

    if count < 1:
        return None
    return measure_side_effects(model, cells, people.ids[:count])


def _open_ended(
    model: Respondent,
    cells: tuple[CellPlan, ...],
    people: BenchmarkPeople,
    judges: list[Respondent],
    count: int,
    folder: Path,
    seed: int,
) -> OpenEndedScores | None:
    from allport.evaluation import evaluate_open_ended

    if not judges:
        return None
    chosen = people.take(range(min(count, len(people.ids))))
    return evaluate_open_ended(model, cells, chosen, judges, folder=folder, seed=seed)


def _print(report: PersonReport) -> None:
    """The composites of cells and baselines, the nearest to the people first."""
    from allport.reporting.palette import number
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    benchmark = report.benchmark
    screen = console()
    people = f"{len(benchmark.people.ids):,} people"
    simulated = " (simulated)" if benchmark.people.corpus.simulated else ""
    screen.print(
        f"{printable(benchmark.model, 80)} in the place of {people}{simulated} · "
        f"{len(benchmark.people.split.held_out)} test items",
        style="bold",
    )
    heads = ("Corrected", "95% interval", "Published", "Trait r", "Unusable")
    table = plain_table("", *heads, right=heads)
    cells = {cell.name for cell in benchmark.cells}
    styled = screen.is_terminal and not screen.is_dumb_terminal

    def distance(scores: PersonScores) -> float:
        return scores.find("error", "median").value

    for scores in sorted(report.scores.values(), key=distance):
        error = scores.find("error", "median")
        table.add_row(
            printable(scores.name, 40) + ("*" if scores.name in cells and not styled else ""),
            number(error.value),
            f"{number(error.low)} to {number(error.high)}" if error.low == error.low else "–",
            number(scores.find("published").value),
            number(scores.find("trait r").value),
            f"{100 * scores.find('unusable').value:.1f}%",
            style="bold" if scores.name in cells else "dim",
        )
    screen.print(table)
    screen.print(
        "Corrected and published distances are sums over five traits; 0 is the person. "
        f"{'Bold' if styled else 'What has a *'} is asked, the rest needs no model.",
        style="dim",
    )
    for note in report.notes:
        screen.print(f"! {note}", style="yellow")
    judged = report.open_ended
    if judged is not None and judged.unjudged:
        screen.print(
            f"! {judged.unjudged} of {judged.pairs} pairs of a person and a facet were not judged "
            "for fit: the person answered no test item of the facet.",
            style="yellow",
        )
    left_out = sum(map(len, benchmark.people.excluded.values()))
    if left_out:
        reasons = ", ".join(
            f"{len(who)} with {why}" for why, who in benchmark.people.excluded.items() if who
        )
        screen.print(f"! {left_out} people were left out: {reasons}.", style="yellow")
