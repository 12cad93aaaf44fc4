#!/usr/bin/env python3
"""Write a small data set that a net learns in seconds: make-data.py KIND PATH.

KIND: idx, idx.gz, npz, folder, cifar10. Class k of four (ten for cifar10) is a bright square in its own place on a
noisy background. Uses the standard library alone, and writes the same bytes every time.
"""
import gzip
import os
import random
import struct
import sys
import zipfile
import zlib

SIZE = 16
CLASSES = 4
COUNTS = {"train": 400, "val": 40, "test": 100}


def image(label, channels, size, rng):
    """[channels][size*size] bytes."""
    per_row = 4
    step = size // per_row
    top, left = step * (label // per_row), step * (label % per_row)
    planes = []
    for _ in range(channels):
        plane = bytearray(rng.randrange(90) for _ in range(size * size))
        for y in range(top, top + step):
            for x in range(left, left + step):
                plane[y * size + x] = 160 + rng.randrange(90)
        planes.append(bytes(plane))
    return planes


def split(name, channels, classes=CLASSES, size=SIZE):
    rng = random.Random(name)
    labels = [i % classes for i in range(COUNTS[name])]
    rng.shuffle(labels)
    return labels, [image(k, channels, size, rng) for k in labels]


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def make_idx(path, zipped):
    os.makedirs(path)
    for name, prefix in ("train", "train"), ("test", "t10k"):
        labels, images = split(name, 1)
        files = {
            f"{prefix}-images-idx3-ubyte": struct.pack(">HBBIII", 0, 8, 3, len(images), SIZE, SIZE)
            + b"".join(planes[0] for planes in images),
            f"{prefix}-labels-idx1-ubyte": struct.pack(">HBBI", 0, 8, 1, len(labels)) + bytes(labels),
        }
        for file, data in files.items():
            if zipped:
                write(os.path.join(path, file + ".gz"), gzip.compress(data, mtime=0))
            else:
                write(os.path.join(path, file), data)


def npy(descr, shape, data, fortran=False):
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s,), }" % (descr, fortran, ", ".join(map(str, shape)))
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def make_npz(path, fortran=False, objects=False):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name in "train", "val", "test":
            labels, images = split(name, 3)
            pixels = b"".join(bytes(b for pixel in zip(*planes) for b in pixel) for planes in images)
            descr = "|O" if objects and name == "train" else "|u1"
            z.writestr(f"x_{name}.npy", npy(descr, (len(images), SIZE, SIZE, 3), pixels, fortran))
            z.writestr(f"y_{name}.npy", npy("<i8", (len(labels), 1), struct.pack(f"<{len(labels)}q", *labels)))


def png(planes, size=SIZE):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + bytes(planes[c][y * size + x] for x in range(size) for c in range(3)) for y in range(size)
    )
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_folder(path):
    for name in "train", "val", "test":
        labels, images = split(name, 3)
        for k in range(CLASSES):
            os.makedirs(os.path.join(path, name, f"square-{k}"))
        for i, (k, planes) in enumerate(zip(labels, images)):
            write(os.path.join(path, name, f"square-{k}", f"{i:03}.png"), png(planes))


def make_cifar10(path):
    os.makedirs(path)
    labels, images = split("test", 3, 10, 32)
    records = b"".join(bytes([k]) + b"".join(planes) for k, planes in zip(labels, images))
    for file in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        write(os.path.join(path, file), records)


if __name__ == "__main__":
    kind, where = sys.argv[1:]
    {
        "idx": lambda p: make_idx(p, False),
        "idx.gz": lambda p: make_idx(p, True),
        "npz": make_npz,
        "npz-fortran": lambda p: make_npz(p, fortran=True),
        "npz-object": lambda p: make_npz(p, objects=True),
        "folder": make_folder,
        "cifar10": make_cifar10,
    }[kind](where)
