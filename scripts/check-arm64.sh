#!/bin/sh
# Build for arm64 and run under qemu: the tests of most rooms, and a net of models/, which must do there as it does here.
# Runs as root in a chroot of Debian 13 that check-debian.sh makes: build/chroot-arm64, or CHROOT.
set -eu
cd "$(dirname "$0")/.."

# evaluate COPPICE...: accuracy and loss of a net on small images; the program may have an emulator before it
evaluate() {
    data=build/arm64-data
    rm -rf $data
    python3 tests/cli/make-data.py folder $data
    for split in train val test; do cp -r $data/$split/square-3 $data/$split/square-4; done # the net has five classes
    "$@" eval models/seedtask-985.onnx --data $data --json |
        sed -n 's/.*"accuracy": \([0-9.]*\).*/accuracy \1/p; s/.*"loss": \([0-9.]\{7\}\).*/loss \1/p'
}

if [ "${1:-}" != inside ]; then
    make build
    here=$(evaluate build/release/coppice)
    export CHROOT="${CHROOT:-build/chroot-arm64}"
    exec scripts/check-debian.sh trixie scripts/check-arm64.sh inside "$here"
fi

dpkg --add-architecture arm64
scripts/install-packages.sh arm64
echo "== configure and build for arm64"
mkdir -p build
cmake -G Ninja -S . -B build/arm64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCOPPICE_WERROR=ON >build/arm64.log 2>&1 || { cat build/arm64.log; exit 1; }
ninja -C build/arm64 --quiet
qemu-aarch64 build/arm64/coppice version

echo "== a net"
there=$(evaluate qemu-aarch64 build/arm64/coppice)
echo "$there"
[ "$there" = "$2" ] || { echo "check-arm64.sh: on this machine's processor it gives: $2" >&2; exit 1; }

echo "== tests"
ctest --test-dir build/arm64 -L '^(base|net|data|io|prune|engine|fuzz)$' -j"$(nproc)" --timeout 3000 --output-on-failure
