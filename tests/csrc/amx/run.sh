#!/bin/sh
# Builds the kernels for AMX with something in the place of its instructions, and runs them.
#
#   run.sh plain|asan checked [cases [first seed]]       emulated instructions that check every access: emulator.h
#   run.sh plain|asan dot_product [cases [first seed]]   tiles in memory, multiplied by AVX512-BF16
#   run.sh plain|asan pool [windows]                     sums that finite inputs reach by overflow alone: pool.cpp
#   run.sh plain|asan share                              how much of the tiles' work is useful: share.cpp
#
# The first two are judged by ../check.cpp, as every instruction set is. Objects are kept in $BUILD (build/amx-<mode>)
# and remade when a source or header is newer. CXX names the compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mode=$1
driver=$2
shift 2
case $mode in
  plain) flags="-O3" ;;
  asan) flags="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
  *)
    echo "run.sh: expected plain or asan, got \"$mode\"" >&2
    exit 2
    ;;
esac
cpu=$root/csrc/cpu
case $driver in
  checked) sources="$here/checked.cpp $here/emulator.cpp $here/../check.cpp" ;;
  dot_product) sources="$here/dot_product.cpp $here/../check.cpp" ;;
  pool) sources="$here/pool.cpp $here/emulator.cpp" ;;
  share) sources=$here/share.cpp ;;
  *)
    echo "run.sh: expected checked, dot_product, pool or share, got \"$driver\"" >&2
    exit 2
    ;;
esac
build=${BUILD:-$root/build/amx-$mode}
mkdir -p "$build"
newest=$(ls -t "$root"/csrc/*.h "$cpu"/*.h "$cpu"/*.inl "$cpu"/amx/* "$here"/*.h "$here"/*.inl "$here"/../*.h \
  "$here/run.sh" | head -n 1)
objects=
for source in "$cpu/dispatch.cpp" "$cpu/covers.cpp" "$cpu/frozen.cpp" "$cpu/head.cpp" \
  "$cpu/isa_scalar.cpp" $sources; do
  object=$build/$(basename "$source" .cpp).o
  objects="$objects $object"
  [ "$object" -nt "$newest" ] && [ "$object" -nt "$source" ] && continue
  rm -f "$object"
  options=$flags
  case $(basename "$source") in
    isa_scalar.cpp) options=-O1 ;;                                           # on trial elsewhere
    emulator.cpp) ! grep -qw fma /proc/cpuinfo || options="$flags -mfma" ;; # otherwise FMAs are calls
  esac
  # shellcheck disable=SC2086
  ${CXX:-g++} $options -std=c++17 -fPIC -Wall -Wextra -Wno-psabi -I"$root/csrc" -I"$here/.." -c "$source" \
    -o "$object" &
done
wait
# shellcheck disable=SC2086
${CXX:-g++} $flags $objects -o "$build/$driver" -pthread
case $driver in
  checked | dot_product) export CNNZOO_ISA=amx ;;
  *) unset CNNZOO_ISA ;;
esac
exec "$build/$driver" "$@"
