#!/usr/bin/env python3
"""The five-method study against the same trials in PyTorch: whole trials, from the dense net to both accuracies.

    bench/study_speed.py [--coppice build/release/coppice] [--data build/data/seedtask.npz] [--epochs 1] [--rounds 3]
                         [--threads 2] [--jobs 1] [--torch-jobs 1] [--blas DIR]

A sample of studies/seedtask.yaml with --epochs epochs per training, in both programs in turn. Figures are medians over the
rounds. torch runs as in bench/speed.py. The last row is the whole study: each kind of trial, weighted by how often and for
how many epochs the study file has it. The trial without training gives the cost besides epochs. --jobs N runs N seeds of the
sample side by side in Coppice (study run --jobs). --torch-jobs N runs N processes of torch, which share the threads. A trial
then counts 1/N of its seconds. Prints a Markdown table.
"""
import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STUDY = """name: sample
data:   {{format: npz, path: {data}}}
model:  seed-cnn
dense:  {{epochs: {epochs}, optimizer: adamw, rate: 2e-3, schedule: one-cycle, batch: 128, decay: 1e-2, augment: [flip, shift]}}
threads: {threads}
seeds:  {seeds}
trials:
  - {{method: magnitude, sparsity: .9, rounds: 0}}
  - {{method: magnitude, sparsity: .95, rounds: 1, tune: {{epochs: {epochs}}}}}
  - {{method: l1-filter, sparsity: .5, rounds: 1, tune: {{epochs: {epochs}}}}}
  - {{method: l2-neuron, sparsity: .9, rounds: 1, tune: {{epochs: {epochs}}}}}
  - {{method: sss, gamma: 1e-2, epochs: {epochs}, retrain: {{epochs: {epochs}, l1: 1e-5}}}}
"""
# Of one seed of studies/seedtask.yaml: trials of the kind, epochs of training in all of them (sss: with factors and after).
WEIGHTS = {
    "dense net": (2, 60 + 18),  # and dense-longer
    "magnitude 0.9": (29, 0),
    "magnitude 0.95, 1 round": (5 + 2 + 1, 6 * 5 + 18 * 2 + 6),
    "l1-filter 0.5, 1 round": (6, 6 * 6),
    "l2-neuron 0.9, 1 round": (3, 6 * 3),
    "sss gamma 0.01": (3, (8 + 12) / 2 * 3),  # an epoch of the sample is one with factors and one after
}


def coppice(a):
    with tempfile.TemporaryDirectory() as work:
        spec = os.path.join(work, "study.yaml")
        with open(spec, "w", encoding="utf-8") as f:
            f.write(STUDY.format(data=os.path.abspath(a.data), epochs=a.epochs, threads=a.threads,
                                 seeds=list(range(1, a.jobs + 1))))
        subprocess.run([a.coppice, "study", "run", spec, "-o", os.path.join(work, "out"), "-q", "--jobs", str(a.jobs)],
                       check=True, stdout=subprocess.DEVNULL)
        store = sqlite3.connect(os.path.join(work, "out", "study.db"))
        seconds = dict(store.execute("SELECT label, AVG(seconds) / ? FROM trial GROUP BY label", (a.jobs,)))
        store.close()
        return seconds


def torch(a):
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    if a.blas:
        env["LD_LIBRARY_PATH"] = a.blas
    command = ["/usr/bin/python3", os.path.join(HERE, "torch_trials.py"), a.data, "--epochs", str(a.epochs),
               "--threads", str(max(1, a.threads // a.torch_jobs))]
    runs = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(a.torch_jobs)]
    outputs = [r.communicate()[0] for r in runs]
    if any(r.returncode for r in runs):
        raise SystemExit("study_speed: torch_trials.py failed")
    seconds = {}
    for line in "".join(outputs).splitlines():
        trial = json.loads(line)
        seconds.setdefault(trial["trial"], []).append(trial["seconds"])
    return {trial: statistics.mean(each) / a.torch_jobs for trial, each in seconds.items()}


def study(seconds, epochs):
    """Seconds of one seed of the study, estimated from the sample."""
    fixed = seconds["magnitude 0.9"]
    return sum(n * fixed + e * max(0, seconds[kind] - fixed) / epochs for kind, (n, e) in WEIGHTS.items())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--coppice", default="build/release/coppice")
    parser.add_argument("--data", default="build/data/seedtask.npz")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--torch-jobs", type=int, default=1)
    parser.add_argument("--blas")
    a = parser.parse_args()
    rounds = [(coppice(a), torch(a)) for _ in range(a.rounds)]
    print(f"{a.epochs} epoch(s) per training, {a.threads} threads, {a.jobs} trial(s) at a time, torch {a.torch_jobs}, "
          f"median of {a.rounds} rounds; load now {os.getloadavg()[0]:.1f}\n")
    print("| trial | Coppice, s | torch, s | torch / Coppice |\n|---|---:|---:|---:|")
    for kind in WEIGHTS:
        own, theirs = (statistics.median(r[i][kind] for r in rounds) for i in (0, 1))
        print(f"| {kind} | {own:.2f} | {theirs:.2f} | {theirs / own:.1f} |")
    own, theirs = (statistics.median(study(r[i], a.epochs) for r in rounds) for i in (0, 1))
    ratios = sorted(study(t, a.epochs) / study(c, a.epochs) for c, t in rounds)
    print(f"| the study, one seed | {own:.0f} | {theirs:.0f} | {theirs / own:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |")


if __name__ == "__main__":
    main()
