// Blocks that fit on a multiprocessor, by NVIDIA's own formulas: one line in (architecture, registers a thread, threads a
// block, static and dynamic shared memory), one line out (blocks, threads a multiprocessor holds).

#include <cuda_occupancy.h>

#include <iostream>
#include <map>

struct Limits {
  size_t shared_multiprocessor, shared_block, reserved;
  int threads;  // of a multiprocessor
};

// From the CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
static const std::map<int, Limits> LIMITS = {
    {75, {64 << 10, 64 << 10, 0, 1024}},
    {80, {164 << 10, 163 << 10, 1 << 10, 2048}},
    {90, {228 << 10, 227 << 10, 1 << 10, 2048}},
};

int main() {
  int architecture, registers, threads;
  size_t shared, dynamic;
  while (std::cin >> architecture >> registers >> threads >> shared >> dynamic) {
    const auto found = LIMITS.find(architecture);
    if (found == LIMITS.end()) return 1;
    const Limits& limits = found->second;
    cudaOccDeviceProp device;
    device.computeMajor = architecture / 10;
    device.computeMinor = architecture % 10;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = limits.threads;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = limits.shared_multiprocessor;
    device.sharedMemPerBlockOptin = limits.shared_block;
    device.reservedSharedMemPerBlock = limits.reserved;
    device.numSms = 1;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = shared;
    kernel.maxDynamicSharedSizeBytes = 48 << 10;
    kernel.numBlockBarriers = 1;
    const cudaOccDeviceState state;
    cudaOccResult result;
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic)) return 2;
    std::cout << result.activeBlocksPerMultiprocessor << ' ' << limits.threads << '\n';
  }
}
