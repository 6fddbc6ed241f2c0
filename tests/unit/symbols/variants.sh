#!/bin/sh
# variants.sh PROGRAM PLAIN OUT-DIR - from a program with DWARF, and the same without a build-id, makes the shapes in which programs ship:
#   stripped        no names at all, debug file only by build-id, in OUT-DIR/debug/.build-id
#   linked          no names, .gnu_debuglink to linked.debug, in OUT-DIR/debug, and no build-id
#   mini            no names but .gnu_debugdata
#   symtab          ELF symbols, no DWARF
#   root/opt/known  a copy below a system root
set -e
program=$1
plain=$2
out=$3
rm -rf "$out"
mkdir -p "$out/debug/.build-id" "$out/root/opt"
cd "$out"

objcopy --only-keep-debug "$program" full.debug
objcopy --strip-all "$program" stripped
id=$(readelf -nW stripped | sed -n 's/.*Build ID: //p')
prefix=$(printf %.2s "$id")
mkdir -p "debug/.build-id/$prefix"
cp full.debug "debug/.build-id/$prefix/${id#??}.debug"
rm full.debug

objcopy --only-keep-debug "$plain" debug/linked.debug
objcopy --strip-all --add-gnu-debuglink=debug/linked.debug "$plain" linked
objcopy --strip-debug "$plain" symtab

nm "$plain" --format=posix --defined-only | sed -n 's/^\([^ ]*\) [TtNn] .*/\1/p' >keep
objcopy --strip-all --keep-symbols=keep --remove-section=.comment "$plain" mini.symbols
xz -k mini.symbols
objcopy --strip-all --add-section=.gnu_debugdata=mini.symbols.xz "$plain" mini
rm keep mini.symbols mini.symbols.xz

cp "$program" root/opt/known
