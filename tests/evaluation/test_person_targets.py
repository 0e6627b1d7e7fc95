from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from allport.corpora import ItemSplit, PeopleCorpus, read_people
from allport.errors import AllportError, InventoryError, ResponsesError, UsageError
from allport.evaluation import BenchmarkPeople, benchmark_people
from allport.inventories import load_inventory


def changed(people: BenchmarkPeople, codes: np.ndarray) -> PeopleCorpus:
    return dataclasses.replace(people.corpus, literal_codes=codes)


def test_papi_is_split_into_120_and_180_items(papi: BenchmarkPeople) -> None:
    assert (len(papi.ids), papi.fit.size, papi.test.size) == (300, 120, 180)
    assert {columns.size for columns in papi.facets.values()} == {6}
    assert {columns.size for columns in papi.traits.values()} == {36}
    assert not any(papi.excluded.values())
    assert set(papi.fit) | set(papi.test) == set(range(300))
    assert np.array_equal(papi.test, np.sort(papi.test))


def test_groups_are_sex_age_band_and_country(papi: BenchmarkPeople) -> None:
    assert papi.groups["sex"].count("male") == 97
    assert papi.groups["country"].count("USA") == 235
    assert set(papi.groups["age"]) == {"under 21", "21 to 40", "41 to 60", "over 60"}
    assert min(map(papi.groups["country"].count, set(papi.groups["country"]))) >= 5


def test_people_who_cannot_take_part_are_counted_by_reason(few_people: BenchmarkPeople) -> None:
    codes = np.array(few_people.corpus.literal_codes)
    codes[0] = 0
    codes[1, few_people.fit[:95]] = 0
    codes[2] = 4
    codes[3, few_people.test] = 0
    found = benchmark_people(changed(few_people, codes))
    assert found.ids == few_people.ids[4:]
    assert [ids for ids in found.excluded.values() if ids] == [("p0",), ("p1",), ("p2",), ("p3",)]
    assert sum(found.describe()["excluded"].values()) == 4


def test_nobody_left_is_an_error_with_the_reasons(few_people: BenchmarkPeople) -> None:
    codes = np.zeros_like(few_people.corpus.literal_codes)
    codes[0] = 3
    with pytest.raises(ResponsesError, match=r"nobody can take part .*11 with no answer.*1 with"):
        benchmark_people(changed(few_people, codes))


def test_answers_off_the_scale_and_people_given_twice_are_refused(
    few_people: BenchmarkPeople,
) -> None:
    codes = np.array(few_people.corpus.literal_codes)
    codes[5, 7] = 6
    with pytest.raises(ResponsesError, match="p5: 6 to item"):
        changed(few_people, codes)
    twice = few_people.corpus.about.with_columns(
        id=few_people.corpus.about["id"].replace("p3", "p4")
    )
    with pytest.raises(ResponsesError, match="'p4' is given 2 times"):
        dataclasses.replace(few_people.corpus, about=twice)


def test_a_file_without_the_300_items_is_refused(tmp_path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("case," + ",".join(f"i{n}" for n in range(1, 51)) + "\n1" + ",3" * 50 + "\n")
    with pytest.raises(AllportError, match="300"):
        read_people(path, load_inventory("ipip-neo-300"), stored="literal")


def test_an_inventory_without_the_short_form_needs_a_split(few_people: BenchmarkPeople) -> None:
    inventory = load_inventory("mini-ipip-20")
    rng = np.random.default_rng(0)
    corpus = PeopleCorpus(
        "small",
        inventory,
        few_people.corpus.about,
        rng.integers(1, 6, (12, 20)).astype(np.int8),
    )
    with pytest.raises(InventoryError, match="short form"):
        benchmark_people(corpus)
    split = ItemSplit(inventory, inventory.numbers[:10], inventory.numbers[10:])
    found = benchmark_people(corpus, split, fewest_answers=5)
    assert found.facets == {}
    assert sum(columns.size for columns in found.traits.values()) == 10
    with pytest.raises(UsageError, match="but the items to fit on are of"):
        benchmark_people(few_people.corpus, split)


def test_a_persona_knows_no_test_item(few_people: BenchmarkPeople) -> None:
    person = few_people.person("p3")
    assert set(person.literal_answers) == set(few_people.split.fit)
    row = few_people.ids.index("p3")
    for number, value in person.literal_answers.items():
        assert value == few_people.literal[row, few_people.inventory.numbers.index(number)]
    few = few_people.person("p3", shots=30)
    facets = [few_people.inventory.item(number).facet for number in few.literal_answers]
    assert len(set(facets)) == len(facets) == 30


def test_fewer_test_items_keep_every_trait(few_people: BenchmarkPeople) -> None:
    fewer = few_people.with_test_items(20)
    assert fewer.targets.shape == (12, 20)
    assert set(fewer.traits) == set("NEOAC")
    for count, said in ((4, "give 5, one a trait"), (181, "there are 180"), (0, "cannot be asked")):
        with pytest.raises(UsageError, match=said):
            few_people.with_test_items(count)


def test_fewer_test_items_are_spread_over_traits_and_facets(few_people: BenchmarkPeople) -> None:
    for count in (5, 7, 20, 33, 90, 179):
        fewer = few_people.with_test_items(count, seed=count)
        assert len(set(fewer.split.held_out) & set(few_people.split.held_out)) == count
        sizes = [len(columns) for columns in fewer.traits.values()]
        assert (sum(sizes), len(sizes)) == (count, 5)
        assert max(sizes) - min(sizes) <= 1
        for trait in fewer.traits:
            facets = [facet.code for facet in fewer.inventory.facets if facet.trait == trait]
            counts = [len(fewer.facets.get(code, ())) for code in facets]
            assert max(counts) - min(counts) <= 1
    assert few_people.with_test_items(180, seed=3).split == few_people.split
    once, again, other = (few_people.with_test_items(20, seed=seed) for seed in (1, 1, 2))
    assert once.split == again.split != other.split


def test_the_description_tells_people_and_splits_apart(few_people: BenchmarkPeople) -> None:
    one = few_people.describe()
    assert one == few_people.describe()
    assert one != few_people.take(range(11)).describe()
    assert one != few_people.with_test_items(90).describe()
