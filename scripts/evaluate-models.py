#!/usr/bin/env python3
"""What the nets under models/ are worth: test accuracy, sparsity and effective MACs, by coppice itself.

    scripts/evaluate-models.py [--coppice build/release/coppice] [--data build/data/seedtask.npz] [MODEL ...]

Prints a Markdown table; the score is (accuracy + sparsity) / 2.
"""
import argparse
import glob
import json
import os
import subprocess

parser = argparse.ArgumentParser()
parser.add_argument("--coppice", default="build/release/coppice")
parser.add_argument("--data", default="build/data/seedtask.npz")
parser.add_argument("model", nargs="*", default=sorted(glob.glob(os.path.join(os.path.dirname(__file__), "..", "models", "*.onnx"))))
a = parser.parse_args()


def ask(*words):
    return json.loads(subprocess.run([a.coppice, *words, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout)


print("| model | bytes | test accuracy | sparsity | nonzero | effective MACs | score |\n|---|---|---|---|---|---|---|")
for path in a.model:
    accuracy = ask("eval", path, "--data", a.data)["accuracy"]
    net = ask("inspect", path)
    print(f"| {os.path.basename(path)} | {os.path.getsize(path):,} | {accuracy:.4f} | {net['sparsity']:.4f} "
          f"| {net['parameters'] - net['zeros']:,} | {net['macs_effective']:,} "
          f"| {(accuracy + net['sparsity']) / 2:.4f} |")
