#!/usr/bin/env python3
"""Check that other programs read our files: convert every fixture with `coppice convert` and run the result in onnxruntime,
Keras 3 or TF-Keras (whichever this Python has), against the fixture's expected outputs.

    make interop                                    # or, with what is installed:
    tests/interop/check.py build/release/coppice
"""
import glob
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "io" / "fixtures"


def expectation(model):
    raw = pathlib.Path(os.path.splitext(model)[0] + ".expect").read_bytes()
    n, c, h, w, k = np.frombuffer(raw, "<i4", 5)
    x = np.frombuffer(raw, "<f4", n * c * h * w, 20).reshape(n, c, h, w)
    return x, np.frombuffer(raw, "<f4", n * k, 20 + 4 * x.size).reshape(n, k)


def normalize(x, text, model):
    """The program stores a model's preprocessing as a normalization of pixels in [0,1]."""
    if not text:
        return x
    norm = json.loads(text)
    raw = 255 if "mobile" in model and "torch" not in model else 1
    mean, std = (np.array(norm[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    return ((x / raw - mean) / std).astype("f4")


def run_onnx(path, x, model):
    import onnx
    import onnxruntime
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    meta = {e.key: e.value for e in file.metadata_props}
    return session.run(None, {session.get_inputs()[0].name: normalize(x, meta.get("coppice.normalization"), model)})[0]


def run_keras(path, x, model):
    import h5py
    import keras
    data = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5")) if path.endswith(".keras") else path
    with h5py.File(data) as f:
        text = f.attrs.get("coppice.normalization")
    x = normalize(x, text, model).transpose(0, 2, 3, 1)
    return keras.models.load_model(path, compile=False).predict(x, verbose=0)


def targets():
    try:
        import onnxruntime  # noqa: F401
        yield ".onnx", run_onnx
    except ImportError:
        pass
    try:
        import keras
        yield ".h5", run_keras
        if keras.__version__.startswith("3"):
            yield ".keras", run_keras
    except ImportError:
        pass


def weights_go_back(program, folder):
    """A Keras model loads the weights that `convert --like` writes, and computes what the fixture says. Yields (name, good)."""
    import keras
    three = keras.__version__.startswith("3")
    for name in ["seed_like", "mobile", "mlp"] + ([] if three else ["residual"]):  # Keras 3 does not say which arrays a batch-norm lacks
        stem = str(FIXTURES / "keras" / ("k3" if three else "tf2") / name)
        whole, weights = (stem + ".keras", stem + ".weights.h5") if three else (stem + ".h5", stem + "-weights.h5")
        net, back = os.path.join(folder, "net.safetensors"), os.path.join(folder, "back.weights.h5" if three else "back.h5")
        subprocess.run([program, "convert", weights, net, "--model", whole], check=True, capture_output=True)
        subprocess.run([program, "convert", net, back, "--like", weights], check=True, capture_output=True)
        model = keras.models.load_model(whole, compile=False)
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, "f4"))
        model.load_weights(back)
        x, y = expectation(whole)
        got = model.predict(x.transpose(0, 2, 3, 1), verbose=0).reshape(y.shape)
        yield "%s -> %s --like" % (os.path.relpath(weights, FIXTURES), os.path.basename(back)), np.abs(got - y).max() <= 1e-5 * np.abs(y).max()


def has_keras():
    try:
        import keras  # noqa: F401
        return True
    except ImportError:
        return False


def main(program):
    models = sorted(glob.glob(str(FIXTURES / "onnx" / "*" / "*.onnx")) + glob.glob(str(FIXTURES / "keras" / "*" / "*")))
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for ending, run in targets():
            for model in models:
                whole = model.endswith((".onnx", ".keras", ".h5")) and "weights" not in os.path.basename(model)
                if not whole or "/bad/" in model or "/node/" in model:
                    continue
                path = os.path.join(folder, "model" + ending)
                made = subprocess.run([program, "convert", model, path], capture_output=True, text=True)
                if made.returncode:
                    print("%s -> %s: %s" % (os.path.relpath(model, FIXTURES), ending, made.stderr.strip()))
                    failed += "Keras has no" not in made.stderr
                    continue
                x, y = expectation(model)
                got = np.asarray(run(path, x, model)).reshape(y.shape)
                if os.path.basename(model).startswith("view"):  # the LogSoftmax that the import leaves out
                    got = got - np.log(np.exp(got).sum(1, keepdims=True))
                good = np.abs(got - y).max() <= 1e-5 * np.abs(y).max()
                passed += good
                failed += not good
                if not good:
                    print("%s -> %s: off by %g" % (os.path.relpath(model, FIXTURES), ending, np.abs(got - y).max()))
        for name, good in weights_go_back(program, folder) if has_keras() else []:
            passed += good
            failed += not good
            if not good:
                print(name + ": other outputs")
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")  # of Keras 3; Keras 2 has but one
    sys.exit(main(sys.argv[1]))
