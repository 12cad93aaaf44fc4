#!/bin/sh
# Install into a temporary prefix as a packager would; build and run examples/prune.c against it through pkg-config.
# usage: test_install.sh BUILD_DIR SOURCE_DIR CC [CFLAGS...]
set -eu
build=$1 source=$2 cc=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >"$work/install.log"
for file in include/coppice/coppice.h bin/coppice share/man/man1/coppice.1 share/bash-completion/completions/coppice; do
    [ -s "$work/usr/$file" ] || { echo "not installed: $file" >&2; exit 1; }
done
PKG_CONFIG_PATH=$(find "$work/usr" -type d -name pkgconfig)
export PKG_CONFIG_PATH
lib=$(pkg-config --variable=libdir coppice)
"$cc" "$@" -std=c17 "$source/examples/prune.c" $(pkg-config --cflags --libs coppice) -Wl,-rpath,"$lib" -o "$work/prune"
"$work/usr/bin/coppice" version
"$work/prune" /usr/share/datasets/fashion-mnist "$work/pruned.safetensors" 2000 | tee "$work/out"
grep -q 'at sparsity 0\.8988$' "$work/out" # 0.9 of the kernels; the 580 biases stay
[ -s "$work/pruned.safetensors" ]
