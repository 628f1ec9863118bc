#!/bin/sh
# Builds the kernels with a driver and runs it.
#
#   run.sh [plain|asan|tsan] [cases [first seed]]              answers against the reference; see check.cpp
#   run.sh bench [part of a layer's name [threads [isa]]]      speed; see bench.cpp
#
# Objects are kept in $BUILD (build/csrc-<mode>) and remade when a source or header is newer. CXX names the compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mode=${1:-plain}
[ $# -eq 0 ] || shift
driver=check
case $mode in
  plain) flags="-O3" ;;
  asan) flags="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
  tsan) flags="-O1 -g1 -fsanitize=thread" ;;
  bench) flags="-O3" driver=bench ;;
  *)
    echo "run.sh: expected plain, asan, tsan or bench, got \"$mode\"" >&2
    exit 2
    ;;
esac
build=${BUILD:-$root/build/csrc-$mode}
mkdir -p "$build"
newest=$(ls -t "$root"/csrc/*.h "$root"/csrc/cpu/*.h "$root"/csrc/cpu/*.inl "$root"/csrc/cpu/amx/* "$here"/*.h "$here/run.sh" | head -n 1)
objects=
for source in "$root"/csrc/cpu/*.cpp "$here/$driver.cpp"; do
  object=$build/$(basename "$source" .cpp).o
  objects="$objects $object"
  [ "$object" -nt "$newest" ] && [ "$object" -nt "$source" ] && continue
  rm -f "$object"
  # shellcheck disable=SC2086
  ${CXX:-g++} $flags -std=c++17 -fPIC -Wall -Wextra -I"$root/csrc" -c "$source" -o "$object" &
done
wait
# shellcheck disable=SC2086
${CXX:-g++} $flags $objects -o "$build/$driver" -pthread
exec "$build/$driver" "$@"
