#!/bin/sh
# Builds the kernels with a driver and runs it.
#
#   run.sh [plain|asan|tsan] [cases [first seed]]              answers against the reference; see check.cpp and
#                                                              check_head.cpp
#   run.sh bench [part of a layer's name [threads [isa]]]      speed; see bench.cpp
#
# Objects are kept in $BUILD (build/csrc-<mode>) and remade when a source or header is newer. CXX names the compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mode=${1:-plain}
[ $# -eq 0 ] || shift
drivers="check check_head"
case $mode in
  plain) flags="-O3" ;;
  asan) flags="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
  tsan) flags="-O1 -g1 -fsanitize=thread" ;;
  bench) flags="-O3" drivers=bench ;;
  *)
    echo "run.sh: expected plain, asan, tsan or bench, got \"$mode\"" >&2
    exit 2
    ;;
esac
build=${BUILD:-$root/build/csrc-$mode}
mkdir -p "$build"
newest=$(ls -t "$root"/csrc/*.h "$root"/csrc/cpu/*.h "$root"/csrc/cpu/*.inl "$root"/csrc/cpu/amx/* "$here"/*.h "$here/run.sh" | head -n 1)
objects=
for source in "$root"/csrc/cpu/*.cpp $(printf "$here/%s.cpp " $drivers); do
  object=$build/$(basename "$source" .cpp).o
  case $source in "$root"/csrc/cpu/*) objects="$objects $object" ;; esac
  [ "$object" -nt "$newest" ] && [ "$object" -nt "$source" ] && continue
  rm -f "$object"
  # shellcheck disable=SC2086
  ${CXX:-g++} $flags -std=c++17 -fPIC -Wall -Wextra -I"$root/csrc" -c "$source" -o "$object" &
done
wait
for driver in $drivers; do
  # shellcheck disable=SC2086
  ${CXX:-g++} $flags $objects "$build/$driver.o" -o "$build/$driver" -pthread
done
for driver in $drivers; do "$build/$driver" "$@"; done
