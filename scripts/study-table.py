#!/usr/bin/env python3
"""The tables of docs/results.md, from a study's directory.

    scripts/study-table.py DIR [--every] [--last] [--against LABEL] [--validation]

Reads summary.json and trials.csv as `coppice study run` or `study report` wrote them and prints Markdown: what ran, the
dense net, the best point of each method (chosen on validation), the frontier, the claims. --every: all settings as well; --last: of
those with several rounds only the last. --validation: accuracies of all settings on validation. --against: differences seed by seed not from the dense net but from the setting of that label.
Figures are means over seeds, with the standard deviation where there are several.
"""
import argparse
import collections
import csv
import json
import os
import statistics


def figure(x, digits=4):
    """A mean with its deviation, as summary.json has them, in the style .8567 +-.0031."""
    text = f"{x['mean']:.{digits}f}"
    return text if x["std"] is None else f"{text} ± {x['std']:.{digits}f}"


def macs(n):
    return f"{n / 1e6:.2f} M" if n >= 1e5 else f"{n / 1e3:.1f} k"


HEAD = """| setting | sparsity | of conv | of dense | test accuracy | score | nonzero | effective MACs | epochs |
|---|---:|---:|---:|---:|---:|---:|---:|---:|"""


def share(x):
    """A layer kind's sparsity; nothing where the net has no such layer."""
    return "" if x["mean"] is None else f"{x['mean']:.3f}"


def row(p):
    return (f"| {p['label']} | {figure(p['sparsity'])} | {share(p['sparsity_conv'])} "
            f"| {share(p['sparsity_dense'])} | {figure(p['accuracy_test'])} | {figure(p['score'])} "
            f"| {p['nonzero']['mean']:,.0f} | {macs(p['macs_effective']['mean'])} | {p['epochs']['mean']:g} |")


def settings(folder, last=False):
    """All settings, in the order of the study: lists of their rows, one a seed. last: only the last round of each."""
    with open(os.path.join(folder, "trials.csv"), encoding="utf-8", newline="") as f:
        rows = [r for r in csv.DictReader(f) if r["accuracy_test"]]
    groups = collections.OrderedDict()
    for r in rows:
        groups.setdefault((r["label"], r["round"], r["threshold"]), []).append(r)
    if last:
        final = {(label, threshold): turn for label, turn, threshold in groups}
        groups = {(label, turn, threshold): g for (label, turn, threshold), g in groups.items()
                  if final[label, threshold] == turn}
    return groups


def spread(values):
    return f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""


def difference(lost):
    return f"{statistics.mean(lost):+.4f}{spread(lost)}" if lost else ""


def every(folder, last, against, split):
    groups = settings(folder, last)
    several = collections.Counter(label for label, _, _ in groups)

    def name(label, turn, threshold):  # as the other tables have it
        if several[label] > 1:
            label += f", threshold {float(threshold):g}" if threshold else f", after round {turn}"
        return label
    against = against or "dense net"
    found = [rows for key, rows in groups.items() if name(*key) == against]
    if not found:
        raise SystemExit(f"study-table: {folder} has no setting '{against}' with a test accuracy; it has: "
                         + "; ".join(name(*key) for key in groups))
    column = f"accuracy_{split}"
    base = {r["seed"]: float(r[column]) for r in found[0]}
    print("| setting | round | threshold | sparsity | pruned, not tuned yet (validation) "
          f"| {'test' if split == 'test' else 'validation'} accuracy | less {'the dense net' if against == 'dense net' else against}'s, seed by seed | score | effective MACs | epochs | seconds | training MACs | seeds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for (label, turn, threshold), rows in groups.items():
        def mean(key):
            return statistics.mean(float(r[key]) for r in rows)
        accuracy = [float(r[column]) for r in rows]
        lost = [float(r[column]) - base[r["seed"]] for r in rows if r["seed"] in base]
        before = f"{mean('accuracy_pruned'):.4f}" if all(r["accuracy_pruned"] for r in rows) else ""
        print(f"| {label} | {turn} | {threshold} | {mean('sparsity'):.4f} | {before} "
              f"| {mean(column):.4f}{spread(accuracy)} | {difference(lost)} "
              f"| {mean('score'):.4f} | {macs(mean('macs_effective'))} | {mean('epochs'):g} "
              f"| {mean('seconds'):.0f} | {mean('train_macs') / 1e12:.1f} T | {len(rows)} |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--every", action="store_true", help="all settings as well")
    parser.add_argument("--last", action="store_true", help="of settings with several rounds only the last")
    parser.add_argument("--against", metavar="LABEL", help="with --every: what differences are taken from")
    parser.add_argument("--validation", action="store_true", help="with --every: accuracies on validation, not on test")
    a = parser.parse_args()
    with open(os.path.join(a.folder, "summary.json"), encoding="utf-8") as f:
        s = json.load(f)
    data, trials = s["data"], s["trials"]
    print(f"`{s['command']}`: {s['model']} on images of {data['shape']} in {data['classes']} classes "
          f"({data['images']}); {trials['done']} of {trials['all']} trials, {s['points']} points, "
          f"{s['seconds'] / 60:.0f} minutes of training and measuring. {s['build']}; {s['machine']}, "
          f"threads: {s['threads']}.\n")
    print(f"Dense: test accuracy {figure(s['dense']['accuracy_test'])}, seeds: {s['dense']['seeds']}, "
          f"{s['dense']['epochs']['mean']:g} epochs, {s['dense']['seconds']['mean']:.0f} s; "
          f"hypervolume of the frontier {s['hypervolume']:.4f}.\n")
    print("The best point of each method by score, chosen on validation:\n")
    print(HEAD)
    for m in s["methods"]:
        if m["best"]:  # no trial of the method may be done yet, or none above the floor
            print(row(m["best"]))
    print("\nThe frontier, chosen on validation:\n")
    print(HEAD)
    for p in sorted(s["frontier"], key=lambda p: p["sparsity"]["mean"]):
        print(row(p))
    print("\n| claim of the reference study | here | figures |\n|---|---|---|")
    for c in s["claims"]:
        verdict = c["verdict"] + (", provisional" if c["provisional"] else "")
        print(f"| {c['claim']}. {c['text']} | {verdict} | {c['figures']} |")
    print()
    if a.every:
        every(a.folder, a.last, a.against, "val" if a.validation else "test")


if __name__ == "__main__":
    main()
