#!/bin/sh
# quickstart.sh - from a fresh Debian 12 machine to a leak report: installs the packages, builds geomem and
# the sample server examples/leaky.c, records the sample and shows where its memory went.
# Safe to run again; each step does only what is missing.
set -eu
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }
run() { printf '\n$ %s\n' "$*"; "$@"; }

say "packages (cmake/debian-packages.txt)"
cmake/install-packages.sh build test

say "build, into build/release"
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release; } >build/quickstart.log 2>&1; then
    tail -n 40 build/quickstart.log >&2
    echo "quickstart: the build failed; all of its output is in build/quickstart.log" >&2
    exit 1
fi
PATH=$PWD/build/release/bin:$PATH
export GEOMEM_PAGER=cat # nobody is to be kept waiting at a prompt in the middle

say "a sample program with a leak: examples/leaky.c"
run gcc -g -O1 -o build/leaky examples/leaky.c

say "record it"
run geomem-record -f -o build/leaky.geomem -- build/leaky

say "where its memory went"
run geomem-report summary build/leaky.geomem
run geomem-report leaks build/leaky.geomem

cat <<'TEXT'

== done
The stack above ends in cart_new(): carts that were made at login and never freed. Why is written at the
top of examples/leaky.c. To use the commands by name in this shell:
    export PATH="$PWD/build/release/bin:$PATH"
To look at the same recording on a screen (q quits):
    geomem-top build/leaky.geomem
TEXT
