// What `vallm eval` is to do: the YAML file of EvalScope (and vaeval) with its keys, as far as they
// concern a model behind an HTTP API. A key that is not known, or known and not supported, is
// refused by name: a setting that is dropped silently changes scores.
#ifndef VALLM_TOOLS_EVAL_CONFIG_EVAL_CONFIG_H_
#define VALLM_TOOLS_EVAL_CONFIG_EVAL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

// dataset_args of one data set. What is absent is the data set's own default.
struct DatasetArgs {
  std::string local_path;  // file or folder; a relative one is relative to the configuration file
  std::vector<std::string> subset_list;
  std::optional<int> few_shot_num;
  std::optional<std::string> prompt_template;
  std::optional<std::string> query_template;
  std::optional<std::string> system_prompt;
  std::optional<std::string> eval_split;
  std::optional<std::string> train_split;
  std::vector<std::string> metric_list;
  // Applied in order to what the model wrote before it is judged: name and argument.
  std::vector<std::pair<std::string, std::string>> filters;
  JsonRef extra_params;  // an object, or null
};

// How many questions of each subset are asked: a count, a share, or all.
struct SampleLimit {
  std::optional<int64_t> count;
  std::optional<double> share;  // in (0, 1)

  // Of `size` questions.
  size_t Of(size_t size) const;
};

struct EvalConfig {
  std::string model;
  std::string model_id;  // what results call it; model, unless the file says otherwise
  std::string api_url;   // ".../v1" or ".../v1/chat/completions"
  std::string api_key;
  std::vector<std::pair<std::string, DatasetArgs>> datasets;  // in the order of the file
  int eval_batch_size = 8;                                    // requests at a time
  JsonRef generation_config;                                  // members of every request
  bool stream = false;
  absl::Duration timeout = absl::Hours(1);  // between two pieces of an answer
  SampleLimit limit;
  std::string work_dir = "outputs";
  int repeats = 1;    // times that every question is asked
  int64_t seed = 42;  // of what is shuffled
  bool ignore_errors = false;
  int retries = 5;                                   // after the first attempt
  absl::Duration retry_interval = absl::Seconds(1);  // before the first retry; doubles
  bool return_token_ids =
      false;           // ask for the ids of the answer's tokens (vallm and vLLM give them)
  std::string source;  // the file's text, for the report
};

// Errors: INVALID_ARGUMENT naming the key; NOT_FOUND when the file cannot be read.
absl::StatusOr<EvalConfig> LoadEvalConfig(const std::string& path);

// `directory` is what a relative local_path is relative to.
absl::StatusOr<EvalConfig> ParseEvalConfig(const std::string& yaml, const std::string& directory);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CONFIG_EVAL_CONFIG_H_
