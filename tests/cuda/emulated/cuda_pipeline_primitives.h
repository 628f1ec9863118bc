// Stands in for <cuda_pipeline_primitives.h>: cp.async, whose bytes land when they are waited for.
#pragma once

#include <cuda_runtime.h>
