#!/bin/sh
# Builds the CUDA kernels for the CPU and runs a driver of this folder.
#
#   run.sh plain|asan|tsan check [cases [first seed]]     the kernels against the reference; see check.cpp
#   run.sh plain|asan|tsan faults NAME [PLANTED [seed]]   the emulator against planted faults; see faults.cpp
#   run.sh plain binding PYTHON                           torch's binding; TORCH is the folder of torch; see binding.py
#
# Objects are kept in $BUILD (build/cuda-<mode>) and remade when a source or header is newer. CUDA_HOME is the toolkit's
# root, the folder with include/cuda_runtime.h; CXX names the compiler, g++ for x86-64.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mode=$1
driver=$2
shift 2
unwatched=
case $mode in
  plain) flags="-O1" ;;
  asan) flags="-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" ;;
  tsan) flags="-O1 -g1 -fsanitize=thread -fno-tree-loop-distribute-patterns" unwatched="-O1 -g1 -fno-tree-loop-distribute-patterns -DEMULATED_TSAN" ;;
  *)
    echo "run.sh: expected plain, asan or tsan, got \"$mode\"" >&2
    exit 2
    ;;
esac
build=${BUILD:-$root/build/cuda-$mode}
mkdir -p "$build"
newest=$(ls -t "$root"/csrc/*.h "$root"/csrc/cuda/*.h "$root"/csrc/cuda/*.cuh "$here"/*.h "$here/../../csrc/reference.h" \
  "$here/run.sh" | head -n 1)
objects=
pids=
kernels=
[ "$driver" = faults ] || kernels=$(ls "$root"/csrc/cuda/*.cu "$root"/csrc/cuda/*.cpp)
for source in $kernels "$here/emulator.cpp" "$here/copy.cpp" "$here/$driver.cpp"; do
  object=$build/$(basename "$source").o
  objects="$objects $object"
  [ "$object" -nt "$newest" ] && [ "$object" -nt "$source" ] && continue
  rm -f "$object"
  options=$flags
  [ "$(basename "$source")" = emulator.cpp ] && options=${unwatched:-$flags}
  # shellcheck disable=SC2086
  ${CXX:-g++} $options -fPIC -std=c++20 -DCNNZOO_EMULATED -Wall -Wextra -Wno-unknown-pragmas -ffp-contract=off -mfma \
    -I"$here" -I"$root/csrc" -isystem "${CUDA_HOME:?set it to the root of the CUDA toolkit}/include" \
    -isystem "${TORCH:-/nonexistent}/include" -x c++ -c "$source" -o "$object" &
  pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
if [ "$driver" = binding ]; then
  # -Bsymbolic: torch has brought a CUDA runtime of its own into the process.
  # shellcheck disable=SC2086
  ${CXX:-g++} $flags -shared -Wl,-Bsymbolic $objects -L"$TORCH/lib" -ltorch_cpu -lc10 -o "$build/binding.so"
  exec "$1" "$here/binding.py" "$build/binding.so"
fi
# shellcheck disable=SC2086
${CXX:-g++} $flags $objects -o "$build/$driver"
exec "$build/$driver" "$@"
