#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/vec16_portable.h"
#define VALLM_KERNEL_SHAPES(X) X(4, 1) X(1, 1)
// The order matters: each builds on the ones before it.
// clang-format off
#include "engine_service/device/cpu/pointwise-inl.h"
#include "engine_service/device/cpu/tiles-inl.h"
#include "engine_service/device/cpu/matmul-inl.h"
#include "engine_service/device/cpu/attention-inl.h"
#include "engine_service/device/cpu/kernel_table-inl.h"
// clang-format on

namespace vallm::engine {

const Kernels kPortableKernels = kTable;

}  // namespace vallm::engine
