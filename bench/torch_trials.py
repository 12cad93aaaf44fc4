#!/usr/bin/env python3
"""Trials of the five-method study in PyTorch, which bench/study_speed.py compares Coppice with: masks on the dense net
(torch.nn.utils.prune), factors as parameters with a proximal step.

    torch_trials.py DATA.npz [--epochs 1] [--threads 2]

Prints one JSON object per line: trial, seconds from the dense net to both accuracies. DATA: bytes x_train [N,25,25,3], y_train,
and the same of _val and _test.
"""
import argparse
import copy
import json
import time

import numpy
import torch
from torch import nn
from torch.nn.utils import prune

from torch_speed import seed_cnn

BATCH = 128


class Data:
    def __init__(self, path):
        file = numpy.load(path)
        self.split = {}
        mean = std = None
        for name in "train", "val", "test":
            x = torch.from_numpy(file[f"x_{name}"])
            x = x.permute(0, 3, 1, 2).float() / 255
            if mean is None:
                mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
            x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)
            self.split[name] = x, torch.from_numpy(file[f"y_{name}"].astype("int64")).flatten()

    def batches(self):
        """A shuffled epoch, flipped and shifted by up to two pixels."""
        x, y = self.split["train"]
        order = torch.randperm(len(x))
        for i in range(0, len(x) - BATCH + 1, BATCH):
            rows = order[i:i + BATCH]
            images = x[rows]
            flip = torch.rand(BATCH) < .5
            images[flip] = images[flip].flip(3)
            padded = nn.functional.pad(images, (2, 2, 2, 2))
            size = torch.arange(images.shape[2])
            down, right = torch.randint(0, 5, (2, BATCH, 1))
            rows_of, columns_of = (down + size)[:, :, None], (right + size)[:, None, :]
            moved = padded.permute(0, 2, 3, 1)[torch.arange(BATCH)[:, None, None], rows_of, columns_of].permute(0, 3, 1, 2)
            yield moved, y[rows]


def train(net, data, epochs, after_step=None, rate=2e-3):
    net.train()
    weights = [p for p in net.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-2)
    steps = epochs * (len(data.split["train"][0]) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=steps + 1)
    for _ in range(epochs):
        for x, y in data.batches():
            adam.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x), y).backward()
            adam.step()
            if after_step:
                after_step()
            schedule.step()


def accuracies(net, data):
    net.eval()
    with torch.no_grad():
        return [sum((net(x[i:i + 512]).argmax(1) == y[i:i + 512]).sum().item() for i in range(0, len(x), 512)) / len(x)
                for x, y in (data.split["val"], data.split["test"])]


def layers(net, kind=(nn.Conv2d, nn.Linear)):
    return [m for m in net.modules() if isinstance(m, kind)]


def magnitude(net, share):
    for m in layers(net):
        m.weight.data = m.weight.data.contiguous()  # required by topk of torch 1.13
        prune.l1_unstructured(m, "weight", share)


def filters(net, share):
    for m in layers(net, nn.Conv2d):
        prune.ln_structured(m, "weight", share, n=1, dim=0)


def neurons(net, share):
    for m in layers(net, nn.Linear)[:-1]:
        prune.ln_structured(m, "weight", share, n=2, dim=0)


class Factor(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.value = nn.Parameter(torch.ones(units))

    def forward(self, x):
        return x * (self.value[:, None, None] if x.dim() == 4 else self.value)


def sss(net, data, epochs, gamma=1e-2, eta=.1, mu=.9):
    parts, factors = [], []
    inner = list(net)
    for m in inner:
        parts.append(m)
        if isinstance(m, (nn.Conv2d, nn.Linear)) and m is not inner[-1]:
            factors.append(Factor(m.weight.shape[0]))
            parts.append(factors[-1])
    gated = nn.Sequential(*parts)
    speed = [torch.zeros_like(f.value) for f in factors]

    def prox():
        with torch.no_grad():
            for f, v in zip(factors, speed):
                z = f.value - eta * f.value.grad
                new = (z - eta * gamma).clamp(min=0)
                v.mul_(mu).add_(new - f.value)
                f.value.copy_((new + mu * v).clamp(min=0))

    adam = torch.optim.AdamW([p for m in inner for p in m.parameters()], lr=2e-3, weight_decay=1e-2)
    gated.train()
    for _ in range(epochs):
        for x, y in data.batches():
            gated.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(gated(x), y).backward()
            adam.step()
            prox()
    with torch.no_grad():  # fold the factors, hold what reached 0 at 0
        for m, f in zip([m for m in inner if isinstance(m, (nn.Conv2d, nn.Linear))], factors):
            m.weight.mul_(f.value.view(-1, *[1] * (m.weight.dim() - 1)))
            m.bias.mul_(f.value)
            alive = (f.value > 0).float().view(-1, *[1] * (m.weight.dim() - 1))
            prune.custom_from_mask(m, "weight", alive.expand_as(m.weight))
    train(net, data, epochs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    data = Data(a.data)
    dense = seed_cnn().to(memory_format=torch.channels_last)
    trials = {
        "dense net": lambda net: train(net, data, a.epochs),
        "magnitude 0.9": lambda net: magnitude(net, .9),
        "magnitude 0.95, 1 round": lambda net: (magnitude(net, .95), train(net, data, a.epochs)),
        "l1-filter 0.5, 1 round": lambda net: (filters(net, .5), train(net, data, a.epochs)),
        "l2-neuron 0.9, 1 round": lambda net: (neurons(net, .9), train(net, data, a.epochs)),
        "sss gamma 0.01": lambda net: sss(net, data, a.epochs),
    }
    for name, trial in trials.items():
        net = copy.deepcopy(dense)
        start = time.perf_counter()
        trial(net)
        found = accuracies(net, data)
        print(json.dumps({"trial": name, "seconds": round(time.perf_counter() - start, 3), "accuracies": found,
                          "version": torch.__version__}), flush=True)
        if name == "dense net":
            dense = net


if __name__ == "__main__":
    main()
