from __future__ import annotations

import polars as pl

from benchmarks.embedded import lowest_label_mass


def test_the_lowest_label_mass_is_that_of_one_template_and_order() -> None:
    masses = {
        ("letters", "forward"): (0.9, 0.7),
        ("letters", "reversed"): (0.2, 1.0),
        ("digits", "forward"): (1.0, 0.3),
        ("digits", "reversed"): (1.0, 1.0),
    }
    responses = pl.DataFrame(
        [
            {"template": template, "order": order, "item": item, "label_mass": mass}
            for (template, order), of_items in masses.items()
            for item, mass in enumerate(of_items, start=1)
        ]
    )
    assert lowest_label_mass(responses).tolist() == [0.2, 1.0]
