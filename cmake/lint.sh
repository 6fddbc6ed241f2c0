#!/bin/sh
# lint.sh [FILE.c…] - clang-tidy with .clang-tidy's list, then the files that clang-format would change; on all sources
# where no file is named. Advice, not a gate: clang's analyzer misreads some of our idioms. Needs the release build
# for its compile_commands.json. Exit status 1 when there was something to say.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/release
[ -f $build/compile_commands.json ] || { echo "lint: configure first: cmake --preset release" >&2; exit 2; }
[ $# -gt 0 ] || set -- $(git ls-files 'schemas/*.c' 'libgeomem/*.c' 'collector/*.c' 'analyzer/*.c' 'tui/*.c' 'examples/*.c')

said=0
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p $build 2>/dev/null |
    grep -E '(warning|error):' | sort -u | sed "s|^$PWD/||" && said=1
for file in "$@"; do
    if ! clang-format --dry-run -Werror "$file" >/dev/null 2>&1; then
        echo "$file: clang-format would change it"
        said=1
    fi
done
exit $said
