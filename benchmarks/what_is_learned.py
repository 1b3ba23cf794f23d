"""Measure how well perturbation rules train a recurrent network, beside strong baselines.

    python benchmarks/what_is_learned.py starts                              # of the weather
    python benchmarks/what_is_learned.py tune   [--table NAME ...] [--case TEXT ...] [--jobs 2]
    python benchmarks/what_is_learned.py report [--table NAME ...] [--case TEXT ...] [--jobs 2]
                                                [--seeds 10 11 12 13 14]
    python benchmarks/what_is_learned.py figure [--out FOLDER] [--to FILE]

`tune` chooses a rate for every row, and whether it falls: three rates, half a decade apart, each
constant and each falling to 0 along a cosine over all epochs, on seeds 1 and 2 (of tables with many
cases on seed 1), by the error on training data held out; where the best rate is the least or the
greatest tried, one more is tried beyond it, until it is neither. Every row has that search,
backpropagation too. Choices go to what_is_learned.toml beside this file; those that are there are
left alone (delete one to tune it again).
`report` trains with them on seeds 10 to 14, or others, on which nothing was chosen, and prints the
tables of docs/what_is_learned.md. A seed is that of the network, the noise and, where data are
drawn, the data.
`figure` draws the table named small, of the same seeds; what was not trained yet is.

Runs are kept in the folder that --out names (`study` by default) and done once; Ctrl-C loses an
epoch at most. The weather needs the environment variable NEUROSIM_DATA, the folder that holds
WTH.csv.
"""

import argparse
import sys
from pathlib import Path

from study import cases, choices, figure, results

CHOSEN = choices.Choices(Path(__file__).with_suffix(".toml"))


def main() -> None:
    """Read the command line."""
    tables = cases.tables(CHOSEN.read().get("starts", {}))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["starts", "tune", "report", "figure"])
    parser.add_argument("--table", action="append", choices=list(tables))
    parser.add_argument("--case", action="append", help="part of a case's name; repeatable")
    parser.add_argument("--seeds", type=int, nargs="+", default=results.REPORTING)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("study"))
    parser.add_argument("--to", type=Path, default=Path("docs/what_is_learned.png"))
    given = parser.parse_args()
    if given.what == "starts":
        choices.starts(tables["weather"], CHOSEN)
        return
    if given.what == "figure":
        small = results.report(tables["small"], CHOSEN, given.jobs, given.out, given.seeds)
        figure.save(small, given.to)
        return
    for name in given.table or tables:
        parts = given.case or [""]
        some = [case for case in tables[name] if any(part in case.name for part in parts)]
        if given.what == "tune":
            choices.tune(some, CHOSEN, given.jobs, given.out)
        elif not any(case.name in CHOSEN.read() for case in some):
            print(f"{name}: no rates are chosen yet: see tune", file=sys.stderr)
        else:
            frame = results.report(some, CHOSEN, given.jobs, given.out, given.seeds)
            frame.to_parquet(given.out / f"{name}.parquet", index=False)
            print(f"\n## {name}\n", *results.overview(frame), *results.markdown(frame), sep="\n")


if __name__ == "__main__":
    main()
