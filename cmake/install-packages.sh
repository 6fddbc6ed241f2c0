#!/bin/sh
# install-packages.sh SECTION… - installs the Debian packages of the named sections of debian-packages.txt
# (build, test, bench, lint) that are missing. Asks for root through sudo, and only when something is missing.
set -eu

list=$(dirname "$0")/debian-packages.txt

section_packages() {
    awk -v want="$1" '/^\[/ { inside = $0 == "[" want "]"; next } inside && NF && !/^#/' "$list"
}

package_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

if ! command -v apt-get >/dev/null; then
    echo "install-packages: no apt-get here; install what $list lists by other means" >&2
    exit 1
fi

missing=
for section in "$@"; do
    for package in $(section_packages "$section"); do
        package_installed "$package" || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    root=sudo
    command -v sudo >/dev/null || {
        echo "install-packages: not root and no sudo; as root: apt-get install$missing" >&2
        exit 1
    }
fi
echo "install-packages: installing$missing" >&2
# Pages of progress help nobody; they are shown when something fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "install-packages: apt-get failed; what it said stands above" >&2
    exit 1
fi
