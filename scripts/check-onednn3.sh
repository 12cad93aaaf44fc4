#!/bin/sh
# Build the engine against oneDNN 3.x and run its tests. Debian 12 has 2.6; PyPI has 3.2, which is installed into a
# temporary directory. Needs python3 with venv, and the network.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
export OMP_WAIT_POLICY=passive

echo "== oneDNN 3 from the Python package index"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install onednn-devel-cpu-gomp==2023.2.0
root=$(find "$work/venv" -path '*/oneapi/dnnl/dnnl.h' | head -n 1)
[ -n "$root" ] || { echo "check-onednn3: the package holds no oneapi/dnnl/dnnl.h" >&2; exit 1; }
root=${root%/include/oneapi/dnnl/dnnl.h}
libraries=$(dirname "$(find "$work/venv" -name 'libdnnl.so' | head -n 1)")

echo "== configure and build"
cmake -G Ninja -S . -B "$work/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCOPPICE_WERROR=ON \
    -DCOPPICE_DNNL_ROOT="$root" -DCMAKE_LIBRARY_PATH="$libraries" > "$work/configure.log" 2>&1 ||
    { cat "$work/configure.log"; exit 1; }
targets=
for test in tests/engine/test_*.c; do targets="$targets engine_$(basename "$test" .c)"; done
# shellcheck disable=SC2086 # a list
ninja -C "$work/build" --quiet $targets

echo "== tests"
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
ctest --test-dir "$work/build" -L '^engine$' --output-on-failure
