#!/bin/sh
# Builds main.cpp against the libtorch inside an installed torch: build.sh [OUTPUT]
#
# find_package(Torch) of CMake does the same, but insists on a CUDA toolkit where torch was built
# with CUDA. A package needs libtorch.so itself, which main.cpp does not: hence --no-as-needed.
# PYTHON and CXX choose another python and compiler.
set -eu
here=$(dirname "$0")
find='import importlib.util as i; print(*i.find_spec("torch").submodule_search_locations)'
torch=$("${PYTHON:-python3}" -c "$find")
"${CXX:-c++}" -std=c++20 -O1 "$here/main.cpp" -o "${1:-classify}" \
    -isystem "$torch/include" -isystem "$torch/include/torch/csrc/api/include" \
    -L"$torch/lib" -Wl,-rpath,"$torch/lib" \
    -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10
