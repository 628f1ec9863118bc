// Whether float32 convolutions may be cut to TF32. torch keeps this setting where its stable ABI does not reach, so
// Python copies it here before it calls; until somebody does, float32 stays float32.
#pragma once

#include <atomic>

namespace cnnzoo::cuda {

inline std::atomic<bool> allow_tf32{false};

}  // namespace cnnzoo::cuda
