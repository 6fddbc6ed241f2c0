#!/bin/sh
# Configures, builds and tests. Usage: tests/run.sh [preset...]   (default: release asan+ubsan tsan)
# Prints CTest's closing lines for each preset; exit status 0 only if all passed.
# GEOMEM_TEST_JOBS sets how many tests run at once (default: the number of processors);
# GEOMEM_WERROR=ON makes warnings errors.
set -u
cd "$(dirname "$0")/.." || exit 2
[ $# -gt 0 ] || set -- release asan+ubsan tsan
jobs=${GEOMEM_TEST_JOBS:-$(nproc)}
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT
failed=
for preset in "$@"; do
    if ! { cmake --preset "$preset" ${GEOMEM_WERROR:+"-DGEOMEM_WERROR=$GEOMEM_WERROR"} && cmake --build --preset "$preset" -j "$jobs"; } >"$log" 2>&1; then
        tail -40 "$log"
        echo "tests/run.sh: $preset: the build failed"
        failed="$failed $preset"
        continue
    fi
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --no-tests=error >"$log" 2>&1
    status=$?
    echo "== $preset"
    if [ $status -ne 0 ]; then
        cat "$log"
        failed="$failed $preset"
    else
        sed -n '/tests passed/,$p' "$log"
    fi
done
[ -z "$failed" ] || { echo "tests/run.sh: failed:$failed"; exit 1; }
