#include "tools/eval/config/eval_config.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/eval/config/yaml_json.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

// Keys of EvalScope that concern what is not done here, and the values that change nothing.
struct Unsupported {
  const char* key;
  const char* harmless;  // JSON texts, separated by spaces
  const char* advice;
};
constexpr Unsupported kUnsupported[] = {
    {"eval_backend", "\"Native\" \"native\"", "only Native is there"},
    {"model_task", "\"text_generation\"", "only text is evaluated"},
    {"dataset_hub", "\"modelscope\" \"huggingface\" \"local\"",
     "nothing is downloaded: give each data set's local_path"},
    {"stage", "\"all\"", "answers are judged as they come; recorded ones are not asked again"},
    {"judge_strategy", "\"auto\" \"rule\"", "there is no judge model: data sets have rules"},
    {"judge_worker_num", "1", "there is no judge model"},
    {"judge_model_args", "{}", "there is no judge model"},
    {"analysis_report", "false", "no model writes the report"},
    {"use_cache", "", "a run goes on from what its work_dir holds"},
    {"model_args", "{}", "the model is behind an API"},
    {"chat_template", "", "the server has the chat template"},
    {"template_type", "", "the server has the chat template"},
    {"mem_cache", "false", "the model is behind an API"},
    {"outputs", "", "use work_dir"},
    {"eval_config", "", "only the Native backend is there"},
    {"debug", "false", "records hold every request and answer"},
    {"dry_run", "false", "use --dry-run on the command line"},
};

absl::Status Bad(const std::string& key, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("'", key, "' ", what));
}

// Takes the members of an object one by one and knows which were taken.
class Members {
 public:
  Members(const ordered_json& object, std::string prefix)
      : object_(object), prefix_(std::move(prefix)) {}

  // The member, or nullptr when it is absent or null.
  const ordered_json* Take(const std::string& key) {
    taken_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string Name(const std::string& key) const { return prefix_ + key; }

  absl::Status String(const std::string& key, std::string* value) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (!member->is_string()) return Bad(Name(key), "must be a string");
    *value = member->get<std::string>();
    return absl::OkStatus();
  }
  absl::Status String(const std::string& key, std::optional<std::string>* value) {
    std::string text;
    const bool present = object_.contains(key) && !object_[key].is_null();
    VALLM_RETURN_IF_ERROR(String(key, &text));
    if (present) *value = std::move(text);
    return absl::OkStatus();
  }
  absl::Status Bool(const std::string& key, bool* value) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (!member->is_boolean()) return Bad(Name(key), "must be true or false");
    *value = member->get<bool>();
    return absl::OkStatus();
  }
  absl::Status Int(const std::string& key, int64_t least, int64_t* value) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (!member->is_number_integer() || member->get<int64_t>() < least) {
      return Bad(Name(key), absl::StrCat("must be an integer, at least ", least));
    }
    *value = member->get<int64_t>();
    return absl::OkStatus();
  }
  absl::Status Int(const std::string& key, int least, int* value) {
    int64_t wide = *value;
    VALLM_RETURN_IF_ERROR(Int(key, static_cast<int64_t>(least), &wide));
    if (wide > std::numeric_limits<int>::max()) return Bad(Name(key), "is too large");
    *value = static_cast<int>(wide);
    return absl::OkStatus();
  }
  absl::Status Seconds(const std::string& key, absl::Duration* value) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (!member->is_number() || !(member->get<double>() > 0)) {
      return Bad(Name(key), "must be a number of seconds above 0");
    }
    *value = std::min(absl::Seconds(member->get<double>()), absl::Hours(24 * 365));
    return absl::OkStatus();
  }
  absl::Status Strings(const std::string& key, std::vector<std::string>* values) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (member->is_string()) {
      *values = {member->get<std::string>()};
      return absl::OkStatus();
    }
    if (!member->is_array()) return Bad(Name(key), "must be a list of strings");
    for (const ordered_json& element : *member) {
      // A subset called 2024 is a number to YAML.
      if (!element.is_string() && !element.is_number()) {
        return Bad(Name(key), "must be a list of strings");
      }
      values->push_back(element.is_string() ? element.get<std::string>() : element.dump());
    }
    return absl::OkStatus();
  }
  absl::Status Object(const std::string& key, JsonRef* value) {
    const ordered_json* member = Take(key);
    if (member == nullptr) return absl::OkStatus();
    if (!member->is_object()) return Bad(Name(key), "must be a mapping");
    *value = ShareJson(*member);
    return absl::OkStatus();
  }

  // The same for a key that is known only to be refused: it is not among those that Finish lists.
  const ordered_json* TakeUnlisted(const std::string& key) {
    const ordered_json* member = Take(key);
    taken_.erase(key);
    unlisted_.insert(key);
    return member;
  }

  // Refuses what was not taken, and says what could be.
  absl::Status Finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (taken_.count(key) != 0 || unlisted_.count(key) != 0) continue;
      return Bad(Name(key),
                 absl::StrCat("is not a known key; there is ", absl::StrJoin(taken_, ", ")));
    }
    return absl::OkStatus();
  }

 private:
  const ordered_json& object_;
  const std::string prefix_;
  std::set<std::string> taken_;
  std::set<std::string> unlisted_;
};

absl::Status ParseFilters(Members& members, DatasetArgs* args) {
  JsonRef filters;
  VALLM_RETURN_IF_ERROR(members.Object("filters", &filters));
  if (filters == nullptr) return absl::OkStatus();
  for (const auto& [name, argument] : filters->items()) {
    if (name != "remove_until" && name != "extract") {
      return Bad(members.Name("filters." + name), "is not a filter: remove_until, extract");
    }
    if (!argument.is_string()) return Bad(members.Name("filters." + name), "must be a string");
    args->filters.emplace_back(name, argument.get<std::string>());
  }
  return absl::OkStatus();
}

absl::StatusOr<DatasetArgs> ParseDatasetArgs(const std::string& name, const ordered_json& json,
                                             const std::string& directory) {
  const std::string key = "dataset_args." + name;
  if (!json.is_object()) return Bad(key, "must be a mapping");
  Members members(json, key + ".");
  DatasetArgs args;
  VALLM_RETURN_IF_ERROR(members.String("local_path", &args.local_path));
  std::string dataset_id;
  VALLM_RETURN_IF_ERROR(members.String("dataset_id", &dataset_id));
  if (args.local_path.empty()) args.local_path = dataset_id;
  if (!args.local_path.empty() && args.local_path[0] != '/') {
    args.local_path = (std::filesystem::path(directory) / args.local_path).string();
  }
  VALLM_RETURN_IF_ERROR(members.Strings("subset_list", &args.subset_list));
  VALLM_RETURN_IF_ERROR(members.Strings("metric_list", &args.metric_list));
  if (members.Take("few_shot_num") != nullptr) {
    int shots = 0;
    VALLM_RETURN_IF_ERROR(members.Int("few_shot_num", 0, &shots));
    args.few_shot_num = shots;
  }
  const ordered_json* random = members.TakeUnlisted("few_shot_random");
  if (random != nullptr && *random != false) {
    return Bad(key + ".few_shot_random", "must be false: the first examples are used");
  }
  VALLM_RETURN_IF_ERROR(members.String("prompt_template", &args.prompt_template));
  VALLM_RETURN_IF_ERROR(members.String("query_template", &args.query_template));
  VALLM_RETURN_IF_ERROR(members.String("system_prompt", &args.system_prompt));
  VALLM_RETURN_IF_ERROR(members.String("eval_split", &args.eval_split));
  VALLM_RETURN_IF_ERROR(members.String("train_split", &args.train_split));
  VALLM_RETURN_IF_ERROR(ParseFilters(members, &args));
  VALLM_RETURN_IF_ERROR(members.Object("extra_params", &args.extra_params));
  VALLM_RETURN_IF_ERROR(members.Finish());
  return args;
}

absl::Status ParseDatasets(Members& members, const std::string& directory, EvalConfig* config) {
  std::vector<std::string> names;
  VALLM_RETURN_IF_ERROR(members.Strings("datasets", &names));
  if (names.empty()) return Bad("datasets", "must name at least one data set");
  JsonRef all_args;
  VALLM_RETURN_IF_ERROR(members.Object("dataset_args", &all_args));
  if (all_args == nullptr) all_args = ShareJson(ordered_json::object());
  for (const auto& [name, json] : all_args->items()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Bad("dataset_args." + name, "is for a data set that 'datasets' does not name");
    }
  }
  std::string dataset_dir;
  VALLM_RETURN_IF_ERROR(members.String("dataset_dir", &dataset_dir));
  if (!dataset_dir.empty() && dataset_dir[0] != '/') {
    dataset_dir = (std::filesystem::path(directory) / dataset_dir).string();
  }
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) return Bad("datasets", "names " + name + " twice");
    DatasetArgs args;
    if (all_args->contains(name)) {
      VALLM_ASSIGN_OR_RETURN(args, ParseDatasetArgs(name, (*all_args)[name], directory));
    }
    if (args.local_path.empty() && !dataset_dir.empty()) args.local_path = dataset_dir + "/" + name;
    if (args.local_path.empty()) {
      return Bad("dataset_args." + name + ".local_path",
                 "is missing: nothing is downloaded, so say where the data set's files are");
    }
    config->datasets.emplace_back(name, std::move(args));
  }
  return absl::OkStatus();
}

// Takes out what is not a member of requests.
absl::Status ParseGenerationConfig(Members& members, EvalConfig* config) {
  JsonRef given;
  VALLM_RETURN_IF_ERROR(members.Object("generation_config", &given));
  if (given == nullptr || given->empty()) {
    config->generation_config = ShareJson({{"max_tokens", 2048}, {"temperature", 0.0}});
    return absl::OkStatus();
  }
  ordered_json generation = *given;
  Members own(*given, "generation_config.");
  VALLM_RETURN_IF_ERROR(own.Int("n", 1, &config->repeats));
  VALLM_RETURN_IF_ERROR(own.Int("retries", 0, &config->retries));
  VALLM_RETURN_IF_ERROR(own.Seconds("retry_interval", &config->retry_interval));
  VALLM_RETURN_IF_ERROR(own.Seconds("timeout", &config->timeout));
  VALLM_RETURN_IF_ERROR(own.Bool("stream", &config->stream));
  for (const char* key : {"n", "retries", "retry_interval", "timeout", "stream"}) {
    generation.erase(key);
  }
  for (const char* key : {"model", "messages", "stream_options", "extra_headers", "extra_query"}) {
    if (generation.contains(key)) return Bad(own.Name(key), "is not for the configuration to set");
  }
  // extra_body is where clients put what they do not know: it belongs to the body.
  if (generation.contains("extra_body")) {
    if (!generation["extra_body"].is_object()) {
      return Bad(own.Name("extra_body"), "must be a mapping");
    }
    const ordered_json extra = generation["extra_body"];
    generation.erase("extra_body");
    for (const auto& [key, value] : extra.items()) generation[key] = value;
  }
  config->generation_config = ShareJson(std::move(generation));
  return absl::OkStatus();
}

absl::Status ParseLimit(Members& members, SampleLimit* limit) {
  const ordered_json* member = members.Take("limit");
  if (member == nullptr) return absl::OkStatus();
  if (member->is_number_integer() && member->get<int64_t>() > 0) {
    limit->count = member->get<int64_t>();
  } else if (member->is_number_float() && member->get<double>() > 0 && member->get<double>() < 1) {
    limit->share = member->get<double>();
  } else {
    return Bad("limit", "must be a count from 1 or a share between 0 and 1");
  }
  return absl::OkStatus();
}

absl::Status ParseEvalType(Members& members) {
  std::string type = "service";
  VALLM_RETURN_IF_ERROR(members.String("eval_type", &type));
  static constexpr std::array<std::string_view, 4> kServices = {"service", "server", "openai_api",
                                                                "openai"};
  if (std::find(kServices.begin(), kServices.end(), type) == kServices.end()) {
    return Bad("eval_type", "'" + type + "' is not supported: use service (an OpenAI API)");
  }
  return absl::OkStatus();
}

absl::Status RefuseUnsupported(Members& members) {
  for (const Unsupported& key : kUnsupported) {
    const ordered_json* value = members.TakeUnlisted(key.key);
    if (value == nullptr) continue;
    if (absl::StrCat(" ", key.harmless, " ").find(" " + value->dump() + " ") != std::string::npos) {
      continue;
    }
    return Bad(key.key, absl::StrCat("is not supported: ", key.advice));
  }
  return absl::OkStatus();
}

}  // namespace

size_t SampleLimit::Of(size_t size) const {
  if (count) return std::min(size, static_cast<size_t>(*count));
  if (share) return static_cast<size_t>(static_cast<double>(size) * *share);
  return size;
}

absl::StatusOr<EvalConfig> ParseEvalConfig(const std::string& yaml, const std::string& directory) {
  VALLM_ASSIGN_OR_RETURN(const ordered_json json, YamlToJson(yaml));
  if (!json.is_object()) {
    return absl::InvalidArgumentError("is no mapping of keys to values: see vallm eval --help");
  }
  Members members(json, "");
  EvalConfig config;
  config.source = yaml;
  VALLM_RETURN_IF_ERROR(members.String("model", &config.model));
  if (config.model.empty()) return Bad("model", "is missing: the name that the server knows");
  VALLM_RETURN_IF_ERROR(members.String("model_id", &config.model_id));
  VALLM_RETURN_IF_ERROR(members.String("api_url", &config.api_url));
  if (config.api_url.empty()) {
    return Bad("api_url", "is missing, for example http://127.0.0.1:8000/v1");
  }
  VALLM_RETURN_IF_ERROR(members.String("api_key", &config.api_key));
  VALLM_RETURN_IF_ERROR(ParseEvalType(members));
  VALLM_RETURN_IF_ERROR(ParseDatasets(members, directory, &config));
  VALLM_RETURN_IF_ERROR(members.Int("eval_batch_size", 1, &config.eval_batch_size));
  VALLM_RETURN_IF_ERROR(members.Bool("stream", &config.stream));
  VALLM_RETURN_IF_ERROR(members.Seconds("timeout", &config.timeout));
  VALLM_RETURN_IF_ERROR(ParseGenerationConfig(members, &config));
  VALLM_RETURN_IF_ERROR(ParseLimit(members, &config.limit));
  VALLM_RETURN_IF_ERROR(members.String("work_dir", &config.work_dir));
  if (config.work_dir.empty()) return Bad("work_dir", "must not be empty");
  VALLM_RETURN_IF_ERROR(members.Int("repeats", 1, &config.repeats));
  VALLM_RETURN_IF_ERROR(members.Int("seed", std::numeric_limits<int64_t>::min(), &config.seed));
  VALLM_RETURN_IF_ERROR(members.Bool("ignore_errors", &config.ignore_errors));
  VALLM_RETURN_IF_ERROR(members.Bool("return_token_ids", &config.return_token_ids));
  VALLM_RETURN_IF_ERROR(RefuseUnsupported(members));
  VALLM_RETURN_IF_ERROR(members.Finish());
  return config;
}

absl::StatusOr<EvalConfig> LoadEvalConfig(const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  auto config = ParseEvalConfig(text, std::filesystem::path(path).parent_path().string());
  if (config.ok()) return config;
  return absl::Status(config.status().code(), absl::StrCat(path, ": ", config.status().message()));
}

}  // namespace vallm::eval
