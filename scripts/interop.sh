#!/bin/sh
# Check that other programs read our files: tests/interop/check.py with onnxruntime, Keras 3 and TF-Keras 2.15, each from PyPI in a
# virtual environment under build/interop. Needs the network; `make check` does not.  Usage: interop.sh COPPICE
set -eu
program=$1
root=$(cd "$(dirname "$0")/.." && pwd)
venvs=${INTEROP_VENVS:-$root/build/interop}

venv() { # NAME PACKAGE...
    name=$1
    shift
    if [ ! -e "$venvs/$name/ready" ]; then
        echo "interop: installing $* into $venvs/$name"
        python3 -m venv "$venvs/$name"
        "$venvs/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
        touch "$venvs/$name/ready"
    fi
}

export TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=jax
failed=0
venv keras3 onnx onnxruntime keras h5py jax
echo "interop: onnxruntime and Keras 3"
"$venvs/keras3/bin/python" "$root/tests/interop/check.py" "$program" || failed=1
if (venv keras2 tensorflow-cpu==2.15.1 h5py); then # there for Python 3.9 to 3.11
    echo "interop: TF-Keras 2.15"
    "$venvs/keras2/bin/python" "$root/tests/interop/check.py" "$program" || failed=1
else
    echo "interop: TF-Keras 2.15 can't be installed for this Python: skipped"
fi
exit $failed
