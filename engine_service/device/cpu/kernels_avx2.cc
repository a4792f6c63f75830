#include "engine_service/device/cpu/kernels.h"
#include "engine_service/device/cpu/vec16_avx2.h"
#define VALLM_KERNEL_SHAPES(X) X(6, 1) X(4, 1) X(2, 2) X(1, 4)
// The order matters: each builds on the ones before it.
// clang-format off
#include "engine_service/device/cpu/pointwise-inl.h"
#include "engine_service/device/cpu/tiles-inl.h"
#include "engine_service/device/cpu/matmul-inl.h"
#include "engine_service/device/cpu/attention-inl.h"
#include "engine_service/device/cpu/kernel_table-inl.h"
// clang-format on

namespace vallm::engine {

const Kernels kAvx2Kernels = kTable;

}  // namespace vallm::engine
