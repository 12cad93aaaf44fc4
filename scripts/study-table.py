#!/usr/bin/env python3
"""Print the tables of a study as Markdown, and keep those of docs/results.md in step with docs/results/*.csv.

    scripts/study-table.py DIR                    what ran, each method's best point, the frontier, the claims
    scripts/study-table.py FILE.csv KEY=VALUE...  one table (a study's directory does as well)
    scripts/study-table.py --page docs/results.md [--check]

FILE.csv is trials.csv as `coppice study run` wrote it, or a file of means with the columns of COLUMNS below and their
standard deviations in NAME_std. KEY=VALUE:
    rows=all       every setting; last: only the last round of each; best: the best point of each method by score;
                   frontier: the points that no other beats. best and frontier are chosen on validation
    columns=A,B    names of COLUMNS, or of any other column of the file
    against=LABEL  the setting that differences are taken from, seed by seed (default: the dense net)
    split=val      differences on validation instead of test
--page rewrites each table of a page between <!-- table: FILE.csv KEY=VALUE... --> and <!-- end of table -->, where FILE.csv
lies in the folder named like the page. With --check it only says whether the page and the files agree.
Figures are means over seeds, with the standard deviation where there are several seeds.
"""
import collections
import csv
import json
import os
import re
import shlex
import statistics
import sys

ALL = "setting,sparsity,accuracy_pruned,accuracy_test,difference,score,macs_effective,epochs,seconds,train_macs,seeds"
METHODS = "setting,sparsity,sparsity_conv,sparsity_dense,accuracy_test,score,nonzero,macs_effective,epochs"


def fail(message):
    raise SystemExit(f"study-table: {message}")


def number(digits, factor=1.0, sign=""):
    """A cell: a mean with its deviation, unless that is 0 in the digits shown."""
    def cell(mean, std):
        text = f"{mean * factor:{sign},.{digits}f}"
        spread = f"{(std or 0) * factor:.{digits}f}"
        return text if float(spread) == 0 else f"{text} ± {spread}"
    return cell


def plain(digits, factor=1.0):
    """A cell: a mean alone."""
    return lambda mean, std: number(digits, factor)(mean, None)


def kilo(mean, std):
    return f"{mean / 1e3:,.{1 if mean < 1e5 else 0}f}"


# name of the column in a file: heading, cell
COLUMNS = {
    "sparsity": ("sparsity, %", number(2, 100)),
    "sparsity_conv": ("of conv, %", plain(1, 100)),
    "sparsity_dense": ("of dense, %", plain(1, 100)),
    "accuracy_pruned": ("before tuning, validation, %", plain(2, 100)),
    "accuracy_val": ("validation accuracy, %", number(2, 100)),
    "accuracy_test": ("test accuracy, %", number(2, 100)),
    "difference": ("difference, points", number(2, 100, "+")),
    "score": ("score, %", number(2, 100)),
    "nonzero": ("nonzero", plain(0)),
    "macs_effective": ("effective MACs, M", plain(2, 1e-6)),
    "epochs": ("epochs", lambda mean, std: f"{mean:.4g}"),
    "seconds": ("seconds", plain(0)),
    "train_macs": ("training MACs, T", plain(1, 1e-12)),
    "bytes": ("bytes", plain(0)),
}


def read(path):
    path = os.path.join(path, "trials.csv") if os.path.isdir(path) else path
    try:
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
    except OSError as e:
        fail(f"{path}: {e.strerror}")
    return rows or fail(f"{path} has no rows")


def spread(values):
    """Mean and standard deviation; None where a value is missing."""
    if not values or "" in values:
        return None
    values = [float(v) for v in values]
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def settings(rows, against, split):
    """The settings of trials in the order of the study: for each column its text, or mean and deviation."""
    lost = {r["setting"] for r in rows if r["status"] in ("diverged", "refused")}
    groups = collections.OrderedDict()
    for r in rows:
        if r["accuracy_test"]:
            groups.setdefault((r["label"], r["round"], r["threshold"]), []).append(r)
    points = collections.Counter(label for label, _, _ in groups)
    out = []
    for (label, turn, threshold), group in groups.items():
        s = {name: spread([r[name] for r in group]) for name in COLUMNS if name in group[0]}
        if points[label] > 1:  # as the page of the study names its points
            label += f", threshold {float(threshold):g}" if threshold else f", after round {turn}"
        s.update(setting=label, label=group[0]["label"], method=group[0]["method"], round=turn, threshold=threshold,
                 seeds=str(len(group)), rows=group, score_val=spread([r["score_val"] for r in group]),
                 lost=group[0]["setting"] in lost)
        out.append(s)
    base = [s for s in out if s["setting"] == against]
    if not base:
        fail(f"no setting '{against}' with a test accuracy; there are: " + "; ".join(s["setting"] for s in out))
    of_seed = {r["seed"]: float(r["accuracy_" + split]) for r in base[0]["rows"]}
    for s in out:
        s["difference"] = spread([float(r["accuracy_" + split]) - of_seed[r["seed"]]
                                  for r in s["rows"] if r["seed"] in of_seed])
    return out


def means(rows):
    """The settings of a file of means."""
    return [{name: (float(r[name]), float(r[name + "_std"]) if r.get(name + "_std") else None) if r[name] else None
             for name in r if name in COLUMNS} | {name: r[name] for name in r if name not in COLUMNS} for r in rows]


def frontier(points):
    """The settings that no other beats on validation; of equal ones the first."""
    at = [(s["sparsity"][0], s["accuracy_val"][0]) for s in points]
    return [s for i, s in enumerate(points)
            if not any(x >= at[i][0] and y >= at[i][1] and ((x, y) != at[i] or k < i) for k, (x, y) in enumerate(at))]


def choose(found, which):
    """The settings that a table asks for. One of which a seed diverged or was refused is never chosen."""
    fit = [s for s in found if not s["lost"]]
    if which == "last":
        return list({(s["label"], s["threshold"]): s for s in found}.values())
    if which == "best":
        best = {}
        for s in fit:
            if s["score_val"][0] > (best[s["method"]]["score_val"][0] if s["method"] in best else 0):
                best[s["method"]] = s
        return list(best.values())
    if which == "frontier":
        return sorted(frontier(fit), key=lambda s: s["sparsity"][0])
    if which != "all":
        fail(f"rows={which}: expected all, last, best or frontier")
    return found


def table(path, options):
    """One table as Markdown."""
    unknown = set(options) - {"rows", "columns", "against", "split"}
    if unknown:
        fail(f"unknown key '{min(unknown)}'; there are rows, columns, against and split")
    split = options.get("split", "test")
    if split not in ("test", "val"):
        fail(f"split={split}: expected test or val")
    rows = read(path)
    if "trial" in rows[0]:
        found = choose(settings(rows, options.get("against", "dense net"), split), options.get("rows", "all"))
        names = options.get("columns", ALL).split(",")
    elif set(options) <= {"columns"}:
        found = means(rows)
        names = options["columns"].split(",") if "columns" in options else [n for n in rows[0] if not n.endswith("_std")]
    else:
        fail(f"{path} holds means, not trials: only columns=... can be chosen")
    for name in names:
        if any(name not in s for s in found):
            fail(f"{path} has no column '{name}'")
    shown = dict(COLUMNS)
    if any(s["macs_effective"] and s["macs_effective"][0] < 1e5 for s in found if "macs_effective" in s):
        shown["macs_effective"] = ("effective MACs, k", kilo)
    lines = [[shown[n][0] if n in shown else n for n in names],
             ["---:" if n in shown or n == "seeds" else "---" for n in names]]
    for s in found:
        lines.append([s[n] if n not in shown else shown[n][1](*s[n]) if s[n] else "" for n in names])
    return "".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) + "\n" for line in lines)


def options_of(words):
    bad = [w for w in words if "=" not in w]
    if bad:
        fail(f"expected KEY=VALUE, not '{bad[0]}'")
    return dict(w.split("=", 1) for w in words)


def study(folder):
    """What a study's directory says, in whole."""
    with open(os.path.join(folder, "summary.json"), encoding="utf-8") as f:
        s = json.load(f)
    data, trials = s["data"], s["trials"]
    print(f"`{s['command']}`: {s['model']} on images of {data['shape']} in {data['classes']} classes "
          f"({data['images']}); {trials['done']} of {trials['all']} trials, {s['points']} points, "
          f"{s['seconds'] / 60:.0f} minutes of training and measuring. {s['build']}; {s['machine']}, "
          f"threads: {s['threads']}. Hypervolume of the frontier: {s['hypervolume']:.4f}.\n")
    for which in "best", "frontier":
        print(table(folder, {"rows": which, "columns": METHODS}))
    print("| claim of the reference study | here | figures |\n|---|---|---|")
    for c in s["claims"]:
        verdict = c["verdict"] + (", provisional" if c["provisional"] else "")
        print(f"| {c['claim']}. {c['text']} | {verdict} | {c['figures']} |")


def page(path, check):
    """Rewrite the tables of a page, or say which differs."""
    with open(path, encoding="utf-8") as f:
        old = f.read()
    folder = os.path.splitext(path)[0]
    count = 0

    def fresh(match):
        nonlocal count
        count += 1
        words = shlex.split(match.group(2))
        text = table(os.path.join(folder, words[0]), options_of(words[1:]))
        if check and text != match.group(3):
            fail(f"{path}: the table of {words[0]} differs from the file; scripts/study-table.py --page {path} rewrites it")
        return match.group(1) + text + match.group(4)
    new = re.sub(r"(<!-- table: (.*?) -->\n)(.*?)(<!-- end of table -->)", fresh, old, flags=re.S)
    if count == 0:
        fail(f"{path} has no table of a file")
    if not check and new != old:
        with open(path, "w", encoding="utf-8") as f:
            f.write(new)


def main():
    words = sys.argv[1:]
    if words[:1] == ["--page"] and len(words) in (2, 3) and words[2:] in ([], ["--check"]):
        page(words[1], words[2:] == ["--check"])
    elif len(words) == 1 and os.path.isdir(words[0]):
        study(words[0])
    elif words and not words[0].startswith("-"):
        print(table(words[0], options_of(words[1:])), end="")
    else:
        print(__doc__)
        sys.exit(0 if words in (["-h"], ["--help"]) else 2)


if __name__ == "__main__":
    main()
