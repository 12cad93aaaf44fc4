#!/usr/bin/env python3
"""The same net and the same step in PyTorch, which bench/speed.py compares Coppice with.

seed-cnn (docs/methods.md, "Reference study") at 25x25x3 and 5 classes, channels_last. Training: forward, cross-entropy,
backward, Adam. Inference: forward in eval mode. Prints one JSON object per line: what was run, median milliseconds
per step, images per second, versions.

    torch_speed.py --mode train --batch 64 --precision f32 --runs 40 --threads 2 [--masks]
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


def seed_cnn(width=32, dense=512, classes=5):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(.25),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(.25),
        nn.Flatten(), nn.Linear(2 * width * 4 * 4, dense), nn.ReLU(), nn.Dropout(.5), nn.Linear(dense, classes))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["train", "infer"], default="train")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--masks", action="store_true",
                        help="prune 75%% of the filters and neurons with torch.nn.utils.prune first")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    net = seed_cnn().to(memory_format=torch.channels_last)
    if a.masks:
        from torch.nn.utils import prune
        layers = [m for m in net if isinstance(m, (nn.Conv2d, nn.Linear))]
        for layer in layers[:-1]:
            prune.ln_structured(layer, "weight", amount=.75, n=1, dim=0)
    x = torch.randn(a.batch, 3, 25, 25).to(memory_format=torch.channels_last)
    y = torch.randint(0, 5, (a.batch,))
    loss = nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16")

    def train():
        adam.zero_grad(set_to_none=True)
        with autocast:
            error = loss(net(x), y)
        error.backward()
        adam.step()

    def infer():
        with torch.no_grad(), autocast:
            net(x)

    step = train if a.mode == "train" else infer
    net.train(a.mode == "train")
    for _ in range(max(3, a.runs // 10)):
        step()
    times = []
    for _ in range(a.runs):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    print(json.dumps({"program": "torch", "version": torch.__version__, "mode": a.mode, "batch": a.batch,
                      "precision": a.precision, "threads": a.threads, "masks": a.masks,
                      "median_ms": round(1e3 * median, 3), "images_per_second": round(a.batch / median, 1)}))


if __name__ == "__main__":
    main()
