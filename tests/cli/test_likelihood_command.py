"""`allport measure --reading likelihood` on the embedded model, and where it cannot be."""

from __future__ import annotations

from typing import Any

from allport.administration import read_run


def test_options_are_read_by_their_likelihood(allport: Any) -> None:
    bank = ("--inventory", "situations-320", "--limit", 3)
    said = allport(
        *("measure", "embedded", *bank, "--reading", "likelihood", "--pmi"),
        *("--templates", "advice-open", "--out", "r", "--json"),
    )
    assert said.code == 0
    run = read_run("r")
    assert run.complete
    assert (run.design.reading, run.design.pmi) == ("likelihood", True)
    assert run.responses.height == 3
    assert all(sum(shares) > 0.999 for shares in run.responses["probabilities"])
    assert said.json["summary"]["label_mass"] < 0.1


def test_what_cannot_be_is_said_in_a_sentence(allport: Any) -> None:
    mini = ("--inventory", "mini-ipip-20", "--limit", 2, "--out", "r")
    labelled = allport(
        "measure", "embedded", *mini, "--reading", "likelihood", "--templates", "letters"
    )
    assert labelled.code != 0
    assert "Template 'letters' lists the options" in labelled.err
    service = allport("measure", "openai:some", *mini, "--reading", "likelihood", "--dry-run")
    assert service.code != 0
    assert "does not tell how likely a given text is" in " ".join(service.err.split())
    assert "Traceback" not in service.err
