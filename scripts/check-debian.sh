#!/bin/sh
# Build and test this checkout in a bare Debian of its own: check-debian.sh SUITE [COMMAND...]
# SUITE is bookworm, trixie or another that debootstrap knows; COMMAND runs in a fresh copy of the checkout there, by default
# `make build check`. Needs root and debootstrap. The chroot stays, for the next run, in CHROOT (build/chroot-SUITE);
# packages come from MIRROR (the one of this system, when it is a Debian).
set -eu
fail() {
    echo "check-debian.sh: $*" >&2
    exit 1
}

[ $# -gt 0 ] || { echo "usage: check-debian.sh SUITE [COMMAND...]" >&2; exit 2; }
suite=$1
[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap and chroot"
# In a mount namespace of its own whatever is mounted below goes when the script ends, however it ends.
[ "${CHECK_DEBIAN_MOUNTS:-}" = own ] || CHECK_DEBIAN_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
shift
[ $# -gt 0 ] || set -- make build check
cd "$(dirname "$0")/.."
mkdir -p build
chroot=${CHROOT:-build/chroot-$suite}

if [ ! -e "$chroot/complete" ]; then
    command -v debootstrap >/dev/null || fail "debootstrap is missing; install it: apt-get install debootstrap"
    [ ! -e "$chroot" ] || fail "$chroot: exists but is no complete chroot of this script; remove it or set CHROOT"
    # shellcheck disable=SC2016 # $(REPO_URI) is for apt
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)}
    echo "== debootstrap $suite into $chroot"
    debootstrap --variant=minbase --include=ca-certificates,make "$suite" "$chroot" ${mirror:+"$mirror"} \
        >build/debootstrap.log 2>&1 || { tail -n 5 build/debootstrap.log >&2; fail "debootstrap failed: build/debootstrap.log"; }
    touch "$chroot/complete"
fi

# This system's way to the mirror (proxies, checks of dates), whatever it is.
apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-)' >"$chroot/etc/apt/apt.conf.d/90-host" || true
cp /etc/resolv.conf "$chroot/etc/resolv.conf"
mount -t proc proc "$chroot/proc"
mount --rbind /dev "$chroot/dev"

rm -rf "$chroot/coppice"
mkdir "$chroot/coppice"
git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard >build/checkout.list
tar --null -T build/checkout.list -cf - | tar -xf - -C "$chroot/coppice"
echo "== $suite: $*"
exec chroot "$chroot" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" sh -c 'cd /coppice && exec "$@"' sh "$@"
