from __future__ import annotations

import itertools

import pytest

from allport.inventories.inventory import Item
from allport.models import TransformersModel, load_model
from allport.models.loading import EMBEDDED
from benchmarks.embedded_wordings import (
    new_wordings,
    read_by_encoder,
    read_by_model,
    read_by_words,
    rows,
    trained_wordings,
)


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    return loaded


def turned(wordings: dict[str, Item]) -> dict[str, Item]:
    return {text: i.model_copy(update={"key": -i.key}) for text, i in wordings.items()}


def test_nothing_new_was_trained_on() -> None:
    trained = {text for found in trained_wordings().values() for text in found}
    new = {text for found in new_wordings().values() for text in found}
    assert len(trained) > 5000
    assert len(new) > 180
    assert not trained & new


def test_items_are_read_rightly_and_turned_ones_are_not(model: TransformersModel) -> None:
    items = dict(itertools.islice(trained_wordings()["items"].items(), 0, 60, 4))
    assert read_by_model(model, items).all()
    assert not read_by_model(model, turned(items)).any()


def test_another_trait_of_the_same_key_is_not_read_rightly(model: TransformersModel) -> None:
    items = dict(itertools.islice(trained_wordings()["items"].items(), 0, 60, 4))
    moved = {
        text: item.model_copy(update={"trait": "NEOAC"["NEOAC".index(item.trait) - 1]})
        for text, item in items.items()
    }
    assert not read_by_model(model, moved).any()


def test_words_tell_what_words_were_planted_to_tell() -> None:
    planted = {"N": "fret brood", "E": "party chat"}
    learned, asked = {}, {}
    for n, (trait, key) in enumerate(itertools.product(planted, (1, -1))):
        item = Item(number=n + 1, trait=trait, key=1 if key > 0 else -1)
        words = planted[trait].split()
        for extra in ("at home", "at work", "in town", "at school"):
            form = f"{'Often' if key > 0 else 'Never'} {{}} {extra}."
            learned[form.format(words[0])] = item
            learned[form.format(words[1])] = item
            asked[form.format(" and ".join(words))] = item
    assert read_by_words(learned, {"asked": asked})["asked"].all()
    assert not read_by_words(learned, {"asked": turned(asked)})["asked"].any()


def test_an_encoder_reads_what_is_like_texts_whose_places_it_knows() -> None:
    learned = trained_wordings()["items"]
    asked = {text.rstrip("."): item for text, item in itertools.islice(learned.items(), 0, 90, 4)}
    assert read_by_encoder(EMBEDDED, learned, {"asked": asked})["asked"].mean() > 0.9
    assert not read_by_encoder(EMBEDDED, learned, {"asked": turned(asked)})["asked"].any()


def test_what_an_encoder_reads_does_not_hang_on_what_is_asked_beside_it() -> None:
    learned = dict(itertools.islice(trained_wordings()["trained statements"].items(), 0, 5000, 9))
    new = new_wordings()["held-out paraphrases"]
    together = read_by_encoder(EMBEDDED, learned, {"all": new})["all"]
    alone = read_by_encoder(
        EMBEDDED, learned, {text: {text: item} for text, item in itertools.islice(new.items(), 9)}
    )
    assert [right[0] for right in alone.values()] == together[:9].tolist()


def test_an_encoder_has_rows_where_its_folder_is_named(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLPORT_SENTENCE_ENCODER", str(EMBEDDED))
    ids = {row.id for row in rows(model, seen=2)}
    assert "wordings.encoder.held-out_paraphrases" in ids


def test_rows_stand_beside_chance_and_words(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALLPORT_SENTENCE_ENCODER", raising=False)
    found = {row.id.removeprefix("wordings."): row for row in rows(model, seen=12)}
    assert found["model.items"].value == 1.0
    assert found["model.held-out_paraphrases"].low > 0.1
    assert found["words.all.held-out_paraphrases"].value > found["model.held-out_paraphrases"].low
    assert all(row.low <= row.value <= row.high and row.target == 0.1 for row in found.values())
