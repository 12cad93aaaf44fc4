#!/usr/bin/env python3
"""Ranking against numpy.partition, both on one thread and on the same weights.

    cmake --preset release -DCOPPICE_BENCH=ON && cmake --build --preset release --target bench_rank
    /usr/bin/python3 bench/bench_rank.py build/release/bench/bench_rank [--sizes 1e6 1e7 1e8] [--numpy-up-to 1e8]

For each size, the best of --runs of: reading the weights once, the global threshold (copi_select), threshold and masks
(copi_lowest), and numpy.partition for the same rank. Both thresholds must agree to the bit. Prints the table of
docs/benchmarks.md. The weights pass through a file in --directory (4 bytes each).
"""
import argparse
import json
import os
import platform
import subprocess
import tempfile
import time

import numpy


def processor():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()


def partition(path, k, runs):
    x = numpy.fromfile(path, dtype=numpy.float32)
    best = None
    for _ in range(runs):
        start = time.perf_counter()
        threshold = numpy.partition(x, k)[k]
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
    return best, threshold


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e6, 1e7, 1e8])
    parser.add_argument("--shapes", nargs="+", default=["normal"])
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--numpy-up-to", type=float, default=1e8, help="largest size that numpy runs (memory)")
    parser.add_argument("--directory", default=None, help="where the file of weights goes (default: the system's temporary directory)")
    a = parser.parse_args()
    print(f"{processor()}, one thread, numpy {numpy.__version__}, share {a.share}, best of {a.runs}; milliseconds\n")
    print("| weights | shape | read once | global threshold | threshold / two reads | threshold and masks | numpy.partition | numpy / threshold |")
    print("|---|---|---|---|---|---|---|---|")
    for shape in a.shapes:
        for size in a.sizes:
            with tempfile.TemporaryDirectory(dir=a.directory) as directory:
                command = [a.program, "--n", str(int(size)), "--share", str(a.share), "--runs", str(a.runs), "--shape", shape]
                raw = os.path.join(directory, "weights")
                compared = size <= a.numpy_up_to
                if compared:
                    command += ["--raw", raw]
                r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                theirs = ratio = "-"
                if compared:
                    seconds, threshold = partition(raw, int(a.share * int(size)), a.runs)
                    if numpy.float32(r["threshold"]) != threshold:
                        raise SystemExit(f"thresholds differ: {r['threshold']}, numpy has {threshold}")
                    theirs, ratio = f"{seconds * 1e3:.1f}", f"{seconds / r['select']:.1f}"
                print(f"| {size:.0e} | {shape} | {r['read'] * 1e3:.2f} | {r['select'] * 1e3:.2f} | "
                      f"{r['select'] / (2 * r['read']):.2f} | {r['masks'] * 1e3:.2f} | {theirs} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
