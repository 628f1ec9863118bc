// What the library says of itself to Python: how it was built, which instruction sets it can use, what it covers.
// The operator is not here: it reaches torch through the stable ABI, in bind_cpu.cpp.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "conv_relu_maxpool.h"
#include "cpu/frozen.h"

namespace py = pybind11;

namespace {

#if defined(__clang__)
constexpr const char* COMPILER = "clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* COMPILER = "gcc " __VERSION__;
#else
constexpr const char* COMPILER = "unknown";
#endif

// No date and no path, so that the same sources and tools give the same bytes.
std::map<std::string, std::string> build_info() {
  return {
      {"compiler", COMPILER},
      {"standard", std::to_string(__cplusplus)},
      {"flags", CNNZOO_FLAGS},
      {"torch", CNNZOO_TORCH_VERSION},
      {"pybind11", PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_MINOR)},
  };
}

const cnnzoo::Kernels& current() {
  std::string error;
  const cnnzoo::Kernels* kernels = cnnzoo::current(&error);
  if (!kernels) throw std::invalid_argument(error);  // a ValueError in Python
  return *kernels;
}

std::string current_isa() { return current().name; }

std::string kernels_for(const std::string& dtype) {
  if (dtype == "float32") return current().float32.isa;
  if (dtype == "bfloat16") return current().bfloat16.isa;
  throw std::invalid_argument("kernels_for: expected float32 or bfloat16, got \"" + dtype + "\"");
}

void set_isa(const std::string& name) {
  const std::string error = cnnzoo::select(name);
  if (!error.empty()) throw std::invalid_argument(error);
}

std::optional<std::string> covers(const std::array<int64_t, 17>& sizes) {
  const auto& [N, C, H, W, K, R, S, sh, sw, ph, pw, wh, ww, wsh, wsw, wph, wpw] = sizes;
  const char* reason =
      cnnzoo::covers({N, C, H, W, K, R, S, sh, sw, ph, pw, wh, ww, wsh, wsw, wph, wpw});
  return reason ? std::optional<std::string>(reason) : std::nullopt;
}

template <class T>
std::optional<std::array<int64_t, 4>> frozen_layout_of() {
  const cnnzoo::FrozenKernelsOf<T>* frozen = cnnzoo::frozen_kernels<T>(current());
  if (!frozen) return std::nullopt;
  const cnnzoo::FrozenLayout& layout = frozen->layout;
  return {{layout.lanes, layout.filters_in_block, layout.vectors_in_block, layout.terms}};
}

std::optional<std::array<int64_t, 4>> frozen_layout(const std::string& dtype) {
  if (dtype == "float32") return frozen_layout_of<float>();
  if (dtype == "bfloat16") return frozen_layout_of<cnnzoo::bf16>();
  throw std::invalid_argument("frozen_layout: expected float32 or bfloat16, got \"" + dtype + "\"");
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "The native library of cnnzoo: how it was built, what it runs on, what it covers.";
  m.def("build_info", &build_info, "Compiler, C++ standard, flags, and the torch it was built against.");
  m.def("isas", &cnnzoo::isas, "Instruction sets compiled in that this machine runs, best first.");
  m.def("current_isa", &current_isa, "The instruction set in use; ValueError where CNNZOO_ISA asks for a missing one.");
  m.def("kernels_for", &kernels_for, py::arg("dtype"),
        "The instruction set whose kernels run for float32 or bfloat16: what measurements are kept by.");
  m.def("set_isa", &set_isa, py::arg("name"), "Use this instruction set from now on; ValueError lists the legal ones.");
  m.def("covers", &covers, py::arg("sizes"), "None, or why not: N C H W K R S, stride, padding, pool size, stride, padding.");
  m.def("frozen_layout", &frozen_layout, py::arg("dtype"),
        "How weights of float32 or bfloat16 are packed here: lanes, filters in a block, vectors in a block, weights in "
        "an element; None where nothing computes in that type.");
}
