#!/usr/bin/env python3
"""Measure test accuracy, sparsity and effective MACs of the nets under models/ with the program itself.

    scripts/evaluate-models.py [--coppice build/release/coppice] [--data build/data/seedtask.npz] [MODEL ...]

Prints CSV with the columns of docs/results/models.csv. The score is (accuracy + sparsity) / 2.
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


print("model,bytes,accuracy_test,sparsity,nonzero,macs_effective,score")
for path in a.model:
    accuracy = ask("eval", path, "--data", a.data)["accuracy"]
    net = ask("inspect", path)
    print(f"{os.path.basename(path)},{os.path.getsize(path)},{accuracy:.4f},{net['sparsity']:.4f},"
          f"{net['parameters'] - net['zeros']},{net['macs_effective']},{(accuracy + net['sparsity']) / 2:.4f}")
