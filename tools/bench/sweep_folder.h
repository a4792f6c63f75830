// The folder of a sweep: a result file per cell, and what is made of them all.
//
//   c4_i128o1024.json ...   the results, with the values of every request
//   sweep.json              all of them without these, and the cells that did not fit
//   benchmark.csv           the same as the vendor's lines
//   report.html             the same to look at
//
// Results that are there already are not measured again: that is how a sweep goes on after an
// interruption. Not thread-safe; one sweep at a time.
#ifndef VALLM_TOOLS_BENCH_SWEEP_FOLDER_H_
#define VALLM_TOOLS_BENCH_SWEEP_FOLDER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"
#include "tools/bench/sweep_matrix.h"

namespace vallm::tools {

// What the results of one sweep have in common; a result with something else is not one of it.
struct SweepWorkload {
  std::string backend = "";
  std::string request = "";  // as it is sent, without prompt and length: model, sampling, ...
  int64_t prompts_per_concurrency = 5;
  uint64_t seed = 0;
};

class SweepFolder {
 public:
  SweepFolder(std::string path, SweepWorkload workload)
      : path_(std::move(path)), workload_(std::move(workload)) {}

  // Makes the folder where it is missing. Errors: UNAVAILABLE.
  absl::Status Open() const;

  // Whether the cell has a result with no failed request that was measured with this workload.
  bool HasResult(const SweepCell& cell) const;

  // Adds to `result` what HasResult looks at, and writes it. Errors: UNAVAILABLE.
  absl::Status SaveResult(const SweepCell& cell, nlohmann::ordered_json result) const;

  // Writes sweep.json, benchmark.csv and report.html from the results that are there. `failures`
  // says why a cell has none. Errors: UNAVAILABLE.
  absl::Status WriteSummary(const std::vector<SweepCell>& cells,
                            const std::map<std::string, std::string>& failures) const;

  std::string ResultPath(const SweepCell& cell) const {
    return path_ + "/" + cell.Name() + ".json";
  }

 private:
  nlohmann::ordered_json Key(const SweepCell& cell) const;

  const std::string path_;
  const SweepWorkload workload_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_SWEEP_FOLDER_H_
