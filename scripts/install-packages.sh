#!/bin/sh
# Install the Debian/Ubuntu packages that Coppice needs: install-packages.sh [build] [demo] [check] [bench] [arm64]
# Prints what it installs, uses sudo only if needed, and does nothing when all packages are there.
set -eu

build="build-essential cmake ninja-build pkg-config libdnnl-dev zlib1g-dev libzip-dev libturbojpeg0-dev libspng-dev
       libjansson-dev libyaml-dev libsqlite3-dev
       protobuf-c-compiler libprotobuf-c-dev libonnx-dev libhdf5-dev"
demo="librsvg2-bin dataset-fashion-mnist"
check="libcmocka-dev dataset-fashion-mnist clang libclang-rt-dev libomp-dev librsvg2-bin python3 sqlite3
       git clang-format clang-tidy cppcheck"
# Ubuntu has chromium only as a snap; without a browser the test of the report page is left out.
grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null || check="$check chromium"
bench="python3-torch python3-numpy python3-pil"
arm64="crossbuild-essential-arm64 qemu-user python3" # to build for arm64 and run that here
for package in $build libcmocka-dev; do
    case $package in *-dev) arm64="$arm64 $package:arm64" ;; *) arm64="$arm64 $package" ;; esac
done

wanted=
for set in "${@:-build}"; do
    case $set in
    build) wanted="$wanted $build" ;;
    demo) wanted="$wanted $demo" ;;
    check) wanted="$wanted $check" ;;
    bench) wanted="$wanted $bench" ;;
    arm64) wanted="$wanted $arm64" ;;
    *) echo "install-packages.sh: unknown set '$set'; choose from build, demo, check, bench, arm64" >&2; exit 2 ;;
    esac
done

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "install-packages.sh: this system has no apt-get; install what these Debian packages hold:$missing" >&2
    exit 1
fi
echo "installing Debian packages:$missing"
as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "install-packages.sh: run this once as root: apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install-packages.sh: apt-get failed; its last lines are above" >&2
    exit 1
fi
