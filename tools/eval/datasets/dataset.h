// A data set: which questions it asks, and how an answer is judged. One object per data set of a
// run; immutable after Load, so judging is thread-safe.
#ifndef VALLM_TOOLS_EVAL_DATASETS_DATASET_H_
#define VALLM_TOOLS_EVAL_DATASETS_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

// One question.
struct Sample {
  std::string subset;
  std::string id;      // within the subset; the row's own where it has one, else its number
  JsonRef messages;    // what is asked, as in a chat request
  JsonRef request;     // more members of the request (tools, ...), or nothing
  JsonRef row;         // what the answer is judged by
  std::string target;  // the right answer, as it is shown
};

// What the model answered.
struct ModelOutput {
  std::string content;
  std::string reasoning;
  JsonRef tool_calls;  // an array, or nothing
};

struct Score {
  std::string metric;
  std::vector<double> values;  // one, or one per instruction
};

struct Verdict {
  std::string extracted;      // what was taken for the answer
  std::vector<Score> scores;  // the first decides the data set's score
  std::string note;           // what is worth knowing of how it was judged
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  // The questions of all subsets, subset by subset. Errors: NOT_FOUND naming what was looked for,
  // INVALID_ARGUMENT naming the file and the row.
  virtual absl::StatusOr<std::vector<Sample>> Load() const = 0;

  // Judges what is left of the content after the filters.
  virtual Verdict Judge(const Sample& sample, const ModelOutput& output) const = 0;
};

struct DatasetKind {
  const char* name;
  const char* pretty_name;
  const char* description;  // a line for --list
  absl::StatusOr<std::unique_ptr<Dataset>> (*make)(const DatasetArgs& args, int64_t seed);
  // What of dataset_args has an effect; the rest is refused.
  std::vector<std::string> metrics;  // what metric_list must say
  bool any_metrics = false;          // or may say some of
  bool prompt_template = true;
  bool query_template = false;
  bool subset_list = true;
  bool train_split = false;              // examples come from one
  std::vector<int> few_shot_nums = {0};  // empty: any number
  std::vector<std::string> extra_params = {};
};

// All that there are.
const std::vector<DatasetKind>& DatasetKinds();

// Errors: INVALID_ARGUMENT for an unknown name (with the known ones) or arguments that do not fit.
absl::StatusOr<std::unique_ptr<Dataset>> MakeDataset(std::string_view name, const DatasetArgs& args,
                                                     int64_t seed);

// `output` after the filters of `args`.
std::string Filtered(const DatasetArgs& args, std::string_view output);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATASETS_DATASET_H_
