#!/bin/sh
# Builds the kernels with a driver and runs it.
#
#   run.sh [plain|asan|tsan] [cases [first seed]]     answers against the reference
#   run.sh bench [options]                            speed; see bench.cpp
#
# Objects are kept in build/csrc-<mode> and remade when a source is newer. CXX chooses the compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mode=${1:-plain}
[ $# -gt 0 ] && shift
case $mode in
  plain | bench) flags="-O3" ;;
  asan) flags="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" ;;
  tsan) flags="-O1 -g -fsanitize=thread" ;;
  *) echo "run.sh: expected plain, asan, tsan or bench, got \"$mode\"" >&2; exit 2 ;;
esac
driver=check
[ "$mode" = bench ] && driver=bench
build=${BUILD:-$root/build/csrc-$mode}
mkdir -p "$build"
newest=$(ls -t "$root"/csrc/*.h "$root"/csrc/cpu/* "$here"/*.h "$here"/*.sh | head -1)
for source in "$root"/csrc/cpu/*.cpp "$here/$driver.cpp"; do
  object=$build/$(basename "$source" .cpp).o
  if [ ! "$object" -nt "$newest" ] || [ ! "$object" -nt "$source" ]; then
    echo "${CXX:-g++} -c ${source#"$root"/}"
    ${CXX:-g++} $flags -std=c++17 -fPIC -Wall -Wextra -I"$root/csrc" -c "$source" -o "$object" &
  fi
done
wait
${CXX:-g++} $flags "$build"/*.o -o "$build/$driver" -pthread
exec "$build/$driver" "$@"
