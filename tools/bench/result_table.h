// The table that vLLM's benchmark prints, line by line as scripts look for it.
#ifndef VALLM_TOOLS_BENCH_RESULT_TABLE_H_
#define VALLM_TOOLS_BENCH_RESULT_TABLE_H_

#include <string>

#include "tools/bench/metrics.h"
#include "tools/bench/result_json.h"

namespace vallm::tools {

std::string ResultTable(const RunDescription& run, const MetricOptions& options,
                        const BenchMetrics& metrics);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_RESULT_TABLE_H_
