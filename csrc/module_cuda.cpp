// What the CUDA library says of itself to Python, and the one thing it has to be told: as module.cpp, for _C_cuda.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <map>
#include <optional>
#include <string>

#include "cuda/api.h"
#include "cuda/tf32.h"

namespace py = pybind11;

namespace {

cnnzoo::Geometry geometry_of(const std::array<int64_t, 17>& sizes) {
  const auto& [N, C, H, W, K, R, S, sh, sw, ph, pw, wh, ww, wsh, wsw, wph, wpw] = sizes;
  return {N, C, H, W, K, R, S, sh, sw, ph, pw, wh, ww, wsh, wsw, wph, wpw};
}

std::map<std::string, std::string> build_info() {
  return {{"toolkit", CNNZOO_CUDA_VERSION}, {"architectures", CNNZOO_CUDA_ARCHITECTURES}, {"torch", CNNZOO_TORCH_VERSION}};
}

std::optional<std::string> covers(const std::array<int64_t, 17>& sizes) {
  const char* reason = cnnzoo::cuda::covers(geometry_of(sizes));
  return reason ? std::optional<std::string>(reason) : std::nullopt;
}

}  // namespace

PYBIND11_MODULE(_C_cuda, m) {
  m.doc() = "The CUDA library of cnnzoo: how it was built, and what it covers.";
  m.def("build_info", &build_info, "CUDA toolkit, architectures, and the torch it was built against.");
  m.def("covers", &covers, py::arg("sizes"), "None, or why not: N C H W K R S, stride, padding, pool size, stride, padding.");
  m.def("set_allow_tf32", [](bool allow) { cnnzoo::cuda::allow_tf32 = allow; }, py::arg("allow"),
        "Whether float32 may be cut to TF32 from now on.");
}
