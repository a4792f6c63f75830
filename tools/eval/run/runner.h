// Runs an evaluation: asks what is not recorded yet, judges, records. Everything is in the
// configuration's work_dir, so that a run which was interrupted goes on where it was.
#ifndef VALLM_TOOLS_EVAL_RUN_RUNNER_H_
#define VALLM_TOOLS_EVAL_RUN_RUNNER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/run/record.h"

namespace vallm::eval {

struct RunProgress {
  std::string dataset;  // of the question that was answered last
  size_t done = 0;      // of all questions, recorded ones included
  size_t total = 0;
  size_t recorded = 0;  // that were there before
  size_t failed = 0;
  double score_sum = 0;  // of the answers of this run
  size_t judged = 0;
};

struct DatasetRun {
  std::string name;
  DatasetArgs args;
  std::unique_ptr<Dataset> dataset;
  std::vector<Sample> samples;  // after the limit
  std::vector<Record>
      records;  // one per sample and repetition, in order; those not asked are absent
};

struct RunOutcome {
  std::vector<DatasetRun> datasets;
  size_t reused = 0;  // answers that were recorded before
  size_t unused = 0;  // recorded answers to other requests
  bool interrupted = false;
};

class Runner {
 public:
  explicit Runner(EvalConfig config) : config_(std::move(config)) {}

  // Makes the data sets and reads their files. Errors: those of the data sets.
  absl::Status Load();

  // The number of questions, repetitions included.
  size_t total() const;
  const std::vector<DatasetRun>& datasets() const { return outcome_.datasets; }
  // The body that a sample is sent with.
  nlohmann::ordered_json RequestBody(const Sample& sample) const;

  // Asks and records. `progress` is called after every answer, one call at a time; `interrupted`
  // from many threads. Errors: the first that is no fault of one question's (no server, a key that
  // is not accepted, a file that cannot be written); with ignore_errors questions that failed are
  // recorded as such and the rest goes on. What was answered until then is recorded.
  absl::StatusOr<RunOutcome> Run(const std::function<void(const RunProgress&)>& progress,
                                 const std::function<bool()>& interrupted);

 private:
  // Fills the data set's records from what was recorded before and what was asked now.
  void Collect(std::map<std::string, Record> known, std::vector<Record> fresh,
               DatasetRun* run) const;

  const EvalConfig config_;
  RunOutcome outcome_;
};

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_RUN_RUNNER_H_
