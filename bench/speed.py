#!/usr/bin/env python3
"""Coppice against PyTorch, on seed-cnn: training steps and inference, f32 and bf16.

    cmake --preset release -DCOPPICE_BENCH=ON && cmake --build --preset release
    bench/speed.py build/release/bench/bench_step [--rounds 5] [--threads 2] [--blas DIR]

With --before OTHER/bench_step the other program is an older build of Coppice.
Both programs run in turn, round by round, so that other work on the machine affects both. A figure is the median over the
rounds of a run's own median. torch runs under /usr/bin/python3 (Debian's python3-torch) without OPENBLAS_CORETYPE and
OPENBLAS_L2_SIZE, which would slow OpenBLAS down. --blas DIR: a directory with another libblas.so.3 for torch. Debian's
torch uses whichever is installed, and the plain libblas3 makes its dense layers slow.
Prints the tables of docs/benchmarks.md.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command, env=None):
    out = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


class Programs:
    def __init__(self, step, threads, blas):
        self.step, self.threads = step, threads
        self.own_env = {"GOMP_SPINCOUNT": "2000", **os.environ}  # the program's own setting
        self.env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        if blas:
            self.env["LD_LIBRARY_PATH"] = blas

    def coppice(self, mode, batch, precision, runs, *more):
        return run([self.step, "--mode", mode, "--batch", str(batch), "--precision", precision, "--runs", str(runs),
                    "--threads", str(self.threads), *more], self.own_env)

    def torch(self, mode, batch, precision, runs, *more):
        return run(["/usr/bin/python3", os.path.join(HERE, "torch_speed.py"), "--mode", mode, "--batch", str(batch),
                    "--precision", precision, "--runs", str(runs), "--threads", str(self.threads), *more], self.env)


def median(results, field):
    return statistics.median(r[field] for r in results)


def machine(programs, rounds):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        info = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].splitlines() if ":" in line)
    info = {k.strip(): v.strip() for k, v in info.items()}
    print(f"Machine: {info.get('model name', platform.machine())} (family {info.get('cpu family', '?')}, model "
          f"{info.get('model', '?')}), {os.cpu_count()} processors, {programs.threads} threads; "
          f"load before the run {os.getloadavg()[0]:.1f}; median of {rounds} rounds.")
    print()
    sys.stdout.flush()


ROWS = [(mode, batch, precision) for mode in ("train", "infer") for precision in ("f32", "bf16")
        for batch in ((64, 128) if mode == "train" else (1, 64))]


def main_table(programs, rounds):
    got = {row: ([], []) for row in ROWS}
    for _ in range(rounds):
        for mode, batch, precision in ROWS:
            runs = 300 if batch == 1 else 20
            got[mode, batch, precision][0].append(programs.coppice(mode, batch, precision, runs))
            got[mode, batch, precision][1].append(programs.torch(mode, batch, precision, runs))
    first = got[ROWS[0]]
    print(f"{first[0][0]['version']}; torch {first[1][0]['version']}.")
    print()
    print("| | batch | precision | ms | sum of primitives, ms | ms / primitives | images/s | torch, images/s "
          "| Coppice / torch | Coppice / torch f32 |")
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in ROWS:
        ours, theirs = got[row]
        ms, primitives = median(ours, "median_ms"), median(ours, "primitives_ms")
        rate, other = median(ours, "images_per_second"), median(theirs, "images_per_second")
        plain = median(got[row[0], row[1], "f32"][1], "images_per_second")
        print(f"| {'training step' if row[0] == 'train' else 'inference'} | {row[1]} | {row[2]} | {ms:.2f} "
              f"| {primitives:.2f} | {ms / primitives:.2f} | {rate:,.0f} | {other:,.0f} | {rate / other:.1f} "
              f"| {rate / plain:.1f} |")
    print()
    sys.stdout.flush()


def before_table(programs, before, rounds):
    """Two builds in turn, so that whatever else the machine does falls on both."""
    print("| | batch | precision | before, ms | now, ms | now / before, median of rounds (min to max) |")
    print("|---|---:|---|---:|---:|---:|")
    for mode, batch, precision in ROWS:
        runs = 300 if batch == 1 else 20
        pairs = [(before.coppice(mode, batch, precision, runs), programs.coppice(mode, batch, precision, runs))
                 for _ in range(rounds)]
        ratios = sorted(now["median_ms"] / old["median_ms"] for old, now in pairs)
        print(f"| {'training step' if mode == 'train' else 'inference'} | {batch} | {precision} "
              f"| {median([p[0] for p in pairs], 'median_ms'):.2f} | {median([p[1] for p in pairs], 'median_ms'):.2f} "
              f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True)


def shrunk_table(programs, rounds, batch=128):
    """Fine-tuning with a quarter of the filters and neurons left: masked and dense, as torch does it, and shrunk."""
    ours, shrunk, theirs = [], [], []
    for _ in range(rounds):
        ours.append(programs.coppice("train", batch, "f32", 20))
        shrunk.append(programs.coppice("train", batch, "f32", 20, "--width", "8", "--dense", "128"))
        theirs.append(programs.torch("train", batch, "f32", 20, "--masks"))
    rates = [median(r, "images_per_second") for r in (theirs, ours, shrunk)]
    print(f"| fine-tuning with a quarter of the filters and neurons left, batch {batch}, f32 | images/s | Coppice / torch |")
    print("|---|---:|---:|")
    for name, rate in zip(("torch, torch.nn.utils.prune masks", "Coppice, dense with masks", "Coppice, shrunk"), rates):
        print(f"| {name} | {rate:,.0f} | {rate / rates[0]:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_step", help="the program built from bench/bench_step.c")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blas", help="directory of another libblas.so.3 for torch")
    parser.add_argument("--before", metavar="BENCH_STEP", help="compare with this older build instead of torch")
    a = parser.parse_args()
    programs = Programs(a.bench_step, a.threads, a.blas)
    machine(programs, a.rounds)
    if a.before:
        before_table(programs, Programs(a.before, a.threads, a.blas), a.rounds)
        return
    main_table(programs, a.rounds)
    shrunk_table(programs, a.rounds)


if __name__ == "__main__":
    main()
