#!/usr/bin/env python3
"""Add trials from another directory or another machine to a study's directory.

    scripts/study-add.py DIR TRIALS.csv...

TRIALS.csv is trials.csv as `coppice study run` wrote it. Finished trials that DIR lacks are added to DIR's store.
`coppice study report DIR` then counts those that DIR's study file asks for. So several machines can share a study: give
each the same study file with other `seeds`. Run a seed on one machine only, since differences are taken seed by seed.
The table does not hold nets, layers and training curves, so those are not added.
"""
import argparse
import contextlib
import csv
import itertools
import os
import sqlite3

# columns of the store's table `point` and what trials.csv calls them
POINT = {"round": "round", "level": "level", "asked": "asked", "threshold": "threshold", "sparsity": "sparsity",
         "sparsity_conv": "sparsity_conv", "sparsity_dense": "sparsity_dense", "accuracy_val": "accuracy_val",
         "accuracy_test": "accuracy_test", "accuracy_pruned": "accuracy_pruned", "parameters": "params",
         "nonzero": "nonzero", "macs": "macs", "macs_effective": "macs_effective", "epochs": "epochs",
         "seconds": "seconds", "train_macs": "train_macs"}


def add(store, path):
    """Add the finished trials of a table that the store lacks; return how many."""
    with open(path, encoding="utf-8", newline="") as f:
        table = csv.DictReader(f)
        missing = ({"trial", "status", "method", "label", "seed"} | set(POINT.values())) - set(table.fieldnames or ())
        if missing:
            raise SystemExit(f"study-add: {path} is not trials.csv of a study: it has no column '{min(missing)}'")
        rows = [r for r in table if r["status"] == "done"]
    added = 0
    for trial, points in itertools.groupby(rows, key=lambda r: r["trial"]):
        points = list(points)
        if store.execute("SELECT 1 FROM trial WHERE trial=? AND status='done'", (trial,)).fetchone():
            continue
        for name in ("trial", "point", "epoch", "layer"):  # left by a trial that failed here
            store.execute(f"DELETE FROM {name} WHERE trial=?", (trial,))
        last = points[-1]
        store.execute("INSERT INTO trial VALUES(?,'done','',?,?,?,?)",
                      (trial, float(last["seconds"]), last["method"], last["label"], int(last["seed"])))
        for number, point in enumerate(points):
            values = [point[name] or None for name in POINT.values()]  # the columns' types make them numbers
            store.execute(f"INSERT INTO point(trial,number,{','.join(POINT)}) VALUES(?,?{',?' * len(POINT)})",
                          (trial, number, *values))
        added += 1
    return added


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("tables", metavar="TRIALS.csv", nargs="+")
    a = parser.parse_args()
    path = os.path.join(a.folder, "study.db")
    if not os.path.exists(path):
        raise SystemExit(f"study-add: {a.folder} holds no study; `coppice study run` makes one")
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as store:
        for table in a.tables:
            with store:  # all of a table, or nothing
                added = add(store, table)
            print(f"{table}: {added} trial{'' if added == 1 else 's'} added to {a.folder}")


if __name__ == "__main__":
    main()
