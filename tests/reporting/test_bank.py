from __future__ import annotations

from allport.evaluation.weak_items import BankReport, ItemReport, OptionTrace
from allport.inventories import load_inventory
from allport.psychometrics.estimate import undefined
from allport.reporting import traces_figure


def test_options_are_coloured_in_their_order_however_many_they_are() -> None:
    none = undefined("not asked for here")
    figures = (none, none, none, none, none, none)
    item = ItemReport(1, "E", "", "I hug.", 0.5, *figures, weaknesses=())
    values = tuple(float(value) for value in range(12))
    names = tuple(f"{value:g}" for value in values)
    trace = OptionTrace(1, "E", (-1.0, 1.0), names, values, ((0.5, 0.5),) * 12)
    report = BankReport("mini-ipip-20", "m", 40, (item,), (trace,), "")
    figure = traces_figure(report, load_inventory("mini-ipip-20")).to_dict()
    order = figure["spec"]["encoding"]["color"]["scale"]["domain"]
    assert order == ["low", *(f"step {place}" for place in range(2, 12)), "high"]
