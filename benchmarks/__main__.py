"""Run the benchmarks: `python -m benchmarks [NAME ...]`; without names, all of them."""

from __future__ import annotations

import importlib
import sys

from benchmarks.results import Layout, table, update_tables, write_results

BENCHMARKS = (
    "embedded",
    "embedded_strength",
    "embedded_wordings",
    "measuring_speed",
    "measuring_memory",
    "measuring_scoring",
    "measuring_start",
    "person_fit",
    "person_methods",
    "person_evaluation",
    "situations",
    "situations_adaptive",
    "situations_comparison",
)


def main(names: list[str]) -> int:
    """Run each benchmark, write its results, and bring the tables in docs up to date."""
    if {"-h", "--help"} & set(names):
        print(f"{__doc__}\nThere are {', '.join(BENCHMARKS)}.")
        return 0
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"Unknown benchmark {min(unknown)!r}; there are {', '.join(BENCHMARKS)}.")
        return 2
    for name in names or BENCHMARKS:
        print(f"\n{name}")
        module = importlib.import_module(f"benchmarks.{name}")
        rows = module.rows()
        layout: Layout = getattr(module, "LAYOUT", "list")
        write_results(name, rows, " ".join((module.__doc__ or "").split()), layout)
        print(table(rows, layout))
    for page in update_tables():
        print(f"updated {page.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
