#!/bin/sh
# Install into a temporary prefix as a packager would. Build embedding programs against the shared and the static library,
# through pkg-config and CMake, and run them: examples/prune.c, and the first program of the header's own comment.
# usage: test_install.sh BUILD_DIR SOURCE_DIR CC [CFLAGS...]
set -eu
build=$1 source=$2 cc=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "test_install: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$work/usr" >"$work/install.log"
for file in include/coppice/coppice.h bin/coppice share/man/man1/coppice.1 share/bash-completion/completions/coppice; do
    [ -s "$work/usr/$file" ] || fail "not installed: $file"
done
PKG_CONFIG_PATH=$(find "$work/usr" -type d -name pkgconfig)
export PKG_CONFIG_PATH
lib=$(pkg-config --variable=libdir coppice)
[ -s "$lib/libcoppice.a" ] || fail "not installed: libcoppice.a"
others=$(nm -D --defined-only "$lib/libcoppice.so" | awk '$2 != "A" && $3 !~ /^cop_/')
[ -z "$others" ] || fail "libcoppice.so exports more than cop_*: $others"

# An IDX data set of few images: numbers are big-endian, in octal.
big='\000\000\003\350' small='\000\000\000\144' # 1,000 and 100
idx() { # FILE KIND COUNT BYTES_OF_HEADER BYTES: the first images or labels of Fashion-MNIST
    { printf "\\000\\000\\010$2$3"; zcat "/usr/share/datasets/fashion-mnist/$1.gz" | tail -c +9 | head -c "$4"; } >"$work/data/$1"
}
mkdir "$work/data"
idx train-images-idx3-ubyte '\003' "$big" $((8 + 784 * 1000))
idx train-labels-idx1-ubyte '\001' "$big" 1000
idx t10k-images-idx3-ubyte '\003' "$small" $((8 + 784 * 100))
idx t10k-labels-idx1-ubyte '\001' "$small" 100

sed -n '/^ \*     #include <coppice/,/^ \*     }$/s/^ \* \{0,5\}//p' "$source/include/coppice/coppice.h" >"$work/first.c"
cp "$source/examples/prune.c" "$work"
shared="$(pkg-config --cflags --libs coppice) -Wl,-rpath,$lib"
static="$(pkg-config --cflags coppice) $lib/libcoppice.a -Wl,--as-needed $(pkg-config --static --libs coppice)"
for program in prune first; do
    # shellcheck disable=SC2086 # lists of flags
    "$cc" "$@" -std=c17 -Wall -Wextra -Werror "$work/$program.c" $shared -o "$work/$program"
    # shellcheck disable=SC2086
    "$cc" "$@" -std=c17 "$work/$program.c" $static -o "$work/$program-static"
    if ldd "$work/$program-static" | grep coppice; then fail "$program-static is linked with the shared library"; fi
done
cat >"$work/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.22)
project(embedding LANGUAGES C)
find_package(Coppice 0.1 REQUIRED)
foreach(kind "" _static)
  add_executable(cmake${kind} first.c)
  target_link_libraries(cmake${kind} PRIVATE Coppice::coppice${kind})
endforeach()
EOF
cmake -S "$work" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$*" >"$work/cmake.log"
cmake --build "$work/cmake" >>"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }

"$work/usr/bin/coppice" version
for kind in "" -static; do
    "$work/prune$kind" "$work/data" "$work/pruned.safetensors" | tee "$work/out"
    grep -q 'at sparsity 0\.8988$' "$work/out" || fail "prune$kind: another sparsity" # 0.9 of the kernels; the 580 biases stay
    "$work/first$kind" "$work/pruned.safetensors" "$work/data" "$work/first.safetensors" | grep '^accuracy [0-9.]* %$'
    [ -s "$work/first.safetensors" ] || fail "first$kind saved nothing"
    if "$work/first$kind" "$work/none.safetensors" "$work/data" "$work/x" 2>"$work/err"; then fail "first$kind: no failure"; fi
    grep -q 'none.safetensors: .*No such file' "$work/err" || fail "first$kind: $(cat "$work/err")"
done
for kind in "" _static; do
    "$work/cmake/cmake$kind" "$work/pruned.safetensors" "$work/data" "$work/first.safetensors" | grep '^accuracy '
done
