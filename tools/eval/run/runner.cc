#include "tools/eval/run/runner.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

// One question to ask: where its record goes.
struct Job {
  size_t dataset = 0;
  size_t sample = 0;
  int repeat = 0;
};

std::string RecordsPath(const std::string& work_dir, const std::string& dataset) {
  return work_dir + "/records/" + dataset + ".jsonl";
}

std::string QuestionName(const DatasetRun& run, const Sample& sample) {
  return absl::StrCat(run.name, "\n", sample.subset, "\n", sample.id);
}

// Ids of a subset may repeat (a column that is no key): the later ones get their number added.
void MakeIdsUnique(std::vector<Sample>* samples) {
  std::set<std::pair<std::string, std::string>> seen;
  for (size_t i = 0; i < samples->size(); ++i) {
    Sample& sample = (*samples)[i];
    if (!seen.insert({sample.subset, sample.id}).second) {
      absl::StrAppend(&sample.id, "#", i);
      seen.insert({sample.subset, sample.id});
    }
  }
}

// The first questions of each subset.
std::vector<Sample> Limited(std::vector<Sample> samples, const SampleLimit& limit) {
  std::map<std::string, size_t> sizes, taken;
  for (const Sample& sample : samples) ++sizes[sample.subset];
  std::vector<Sample> kept;
  for (Sample& sample : samples) {
    if (taken[sample.subset] >= limit.Of(sizes[sample.subset])) continue;
    ++taken[sample.subset];
    kept.push_back(std::move(sample));
  }
  return kept;
}

// The state that the asking threads share.
class Asking {
 public:
  Asking(const EvalConfig& config, const Runner& runner, ChatEndpoint endpoint,
         std::vector<DatasetRun>* datasets, std::vector<Job> jobs,
         const std::function<void(const RunProgress&)>& progress, RunProgress start)
      : config_(config),
        runner_(runner),
        endpoint_(std::move(endpoint)),
        datasets_(*datasets),
        jobs_(std::move(jobs)),
        show_(progress),
        progress_(std::move(start)),
        fresh_(datasets->size()) {
    for (const DatasetRun& dataset : *datasets) {
      files_.emplace_back(RecordsPath(config.work_dir, dataset.name),
                          std::ios::binary | std::ios::app);
    }
  }

  absl::Status Run() {
    const size_t count = std::min(static_cast<size_t>(config_.eval_batch_size), jobs_.size());
    endpoint_.interrupted = [this, outside = endpoint_.interrupted] {
      return stopped_ || outside();
    };
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) threads.emplace_back([this] { Work(); });
    for (std::thread& thread : threads) thread.join();
    return failure_;
  }

  std::vector<std::vector<Record>>& fresh() { return fresh_; }

 private:
  void Work() {
    while (!endpoint_.interrupted()) {
      const size_t next = next_++;
      if (next >= jobs_.size()) return;
      Ask(jobs_[next]);
    }
  }

  void Ask(const Job& job) {
    DatasetRun& run = datasets_[job.dataset];
    const Sample& sample = run.samples[job.sample];
    const ordered_json body = runner_.RequestBody(sample);
    auto reply = AskChat(endpoint_, body);
    if (absl::IsCancelled(reply.status())) return;
    Record record{.dataset = run.name,
                  .subset = sample.subset,
                  .id = sample.id,
                  .repeat = job.repeat,
                  .key = RequestKey(QuestionName(run, sample), body, job.repeat),
                  .messages = sample.messages,
                  .reply = {},
                  .error = "",
                  .target = sample.target,
                  .verdict = {}};
    if (reply.ok()) {
      record.reply = *std::move(reply);
      ModelOutput filtered = record.reply.output;
      filtered.content = Filtered(run.args, filtered.content);
      record.verdict = run.dataset->Judge(sample, filtered);
    } else if (config_.ignore_errors) {
      record.error = std::string(reply.status().message());
    } else {
      Stop(absl::Status(reply.status().code(),
                        absl::StrCat(run.name, ", question ", sample.id, " of subset '",
                                     sample.subset, "': ", reply.status().message())));
      return;
    }
    Keep(job, std::move(record));
  }

  void Stop(absl::Status status) {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = std::move(status);
    stopped_ = true;
  }

  void Keep(const Job& job, Record record) {
    const std::string line = JsonLine(RecordToJson(record)) + "\n";
    const std::lock_guard lock(mutex_);
    if (record.error.empty()) {
      // Failed questions are asked again by the next run: only answers are kept on the way.
      files_[job.dataset] << line << std::flush;
      if (!files_[job.dataset]) {
        if (failure_.ok()) {
          failure_ = absl::UnavailableError(absl::StrCat(
              "cannot write ", RecordsPath(config_.work_dir, datasets_[job.dataset].name)));
        }
        stopped_ = true;
      }
      progress_.score_sum += record.score();
      ++progress_.judged;
    } else {
      ++progress_.failed;
    }
    ++progress_.done;
    progress_.dataset = record.dataset;
    fresh_[job.dataset].push_back(std::move(record));
    if (show_) show_(progress_);
  }

  const EvalConfig& config_;
  const Runner& runner_;
  ChatEndpoint endpoint_;
  std::vector<DatasetRun>& datasets_;
  const std::vector<Job> jobs_;
  const std::function<void(const RunProgress&)>& show_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;  // guards what follows
  absl::Status failure_;
  RunProgress progress_;
  std::vector<std::ofstream> files_;
  std::vector<std::vector<Record>> fresh_;  // by data set
};

// The answers that an earlier run recorded, by the key of their request.
absl::StatusOr<std::map<std::string, Record>> Recorded(const std::string& path) {
  std::map<std::string, Record> records;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return records;
  VALLM_ASSIGN_OR_RETURN(std::vector<Record> list, LoadRecords(path));
  for (Record& record : list) {
    if (record.error.empty()) records[record.key] = std::move(record);
  }
  return records;
}

// Judges an answer that was recorded before by the rules and the data set of today.
void JudgeAnew(const DatasetRun& run, const Sample& sample, Record* record) {
  ModelOutput filtered = record->reply.output;
  filtered.content = Filtered(run.args, filtered.content);
  record->verdict = run.dataset->Judge(sample, filtered);
  record->subset = sample.subset;
  record->id = sample.id;
  record->target = sample.target;
}

std::string RecordsText(const std::vector<Record>& records) {
  std::string text;
  for (const Record& record : records) text += JsonLine(RecordToJson(record)) + "\n";
  return text;
}

}  // namespace

absl::Status Runner::Load() {
  for (const auto& [name, args] : config_.datasets) {
    VALLM_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> dataset, MakeDataset(name, args, config_.seed));
    auto samples = dataset->Load();
    if (!samples.ok()) {
      return absl::Status(samples.status().code(),
                          absl::StrCat(name, ": ", samples.status().message()));
    }
    if (samples->empty()) return absl::NotFoundError(name + ": has no questions");
    MakeIdsUnique(&*samples);
    const size_t loaded = samples->size();
    std::vector<Sample> kept = Limited(*std::move(samples), config_.limit);
    if (kept.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("limit leaves none of the ", loaded, " questions of ", name));
    }
    outcome_.datasets.push_back({.name = name,
                                 .args = args,
                                 .dataset = std::move(dataset),
                                 .samples = std::move(kept),
                                 .records = {}});
  }
  return absl::OkStatus();
}

size_t Runner::total() const {
  size_t total = 0;
  for (const DatasetRun& run : outcome_.datasets) total += run.samples.size();
  return total * static_cast<size_t>(config_.repeats);
}

ordered_json Runner::RequestBody(const Sample& sample) const {
  ordered_json body = {{"model", config_.model}, {"messages", *sample.messages}};
  for (const auto& [name, value] : config_.generation_config->items()) body[name] = value;
  if (sample.request != nullptr) {
    for (const auto& [name, value] : sample.request->items()) body[name] = value;
  }
  if (config_.return_token_ids) body["return_token_ids"] = true;
  if (config_.stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  return body;
}

void Runner::Collect(std::map<std::string, Record> known, std::vector<Record> fresh,
                     DatasetRun* run) const {
  std::map<std::string, Record> asked;
  for (Record& record : fresh) {
    std::string key = record.key;
    asked[std::move(key)] = std::move(record);
  }
  for (const Sample& sample : run->samples) {
    const ordered_json body = RequestBody(sample);
    for (int repeat = 0; repeat < config_.repeats; ++repeat) {
      const std::string key = RequestKey(QuestionName(*run, sample), body, repeat);
      if (const auto found = asked.find(key); found != asked.end()) {
        run->records.push_back(std::move(found->second));
      } else if (const auto old = known.find(key); old != known.end()) {
        JudgeAnew(*run, sample, &old->second);
        run->records.push_back(std::move(old->second));
      }
    }
  }
}

absl::StatusOr<RunOutcome> Runner::Run(const std::function<void(const RunProgress&)>& progress,
                                       const std::function<bool()>& interrupted) {
  VALLM_ASSIGN_OR_RETURN(ChatEndpoint endpoint, ParseApiUrl(config_.api_url));
  endpoint.api_key = config_.api_key;
  endpoint.timeout = config_.timeout;
  endpoint.retries = config_.retries;
  endpoint.retry_interval = config_.retry_interval;
  endpoint.interrupted = interrupted;
  std::error_code error;
  std::filesystem::create_directories(config_.work_dir + "/records", error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("work_dir ", config_.work_dir, ": ", error.message()));
  }
  std::vector<Job> jobs;
  std::vector<std::map<std::string, Record>> known;
  for (size_t d = 0; d < outcome_.datasets.size(); ++d) {
    DatasetRun& run = outcome_.datasets[d];
    VALLM_ASSIGN_OR_RETURN(auto recorded, Recorded(RecordsPath(config_.work_dir, run.name)));
    size_t used = 0;
    for (size_t s = 0; s < run.samples.size(); ++s) {
      const ordered_json body = RequestBody(run.samples[s]);
      for (int repeat = 0; repeat < config_.repeats; ++repeat) {
        if (recorded.count(RequestKey(QuestionName(run, run.samples[s]), body, repeat)) != 0) {
          ++used;
        } else {
          jobs.push_back({.dataset = d, .sample = s, .repeat = repeat});
        }
      }
    }
    outcome_.reused += used;
    outcome_.unused += recorded.size() - std::min(recorded.size(), used);
    known.push_back(std::move(recorded));
  }
  RunProgress start{.dataset = config_.datasets[0].first,
                    .done = total() - jobs.size(),
                    .total = total(),
                    .recorded = total() - jobs.size()};
  Asking asking(config_, *this, std::move(endpoint), &outcome_.datasets, std::move(jobs), progress,
                start);
  const absl::Status status = asking.Run();
  for (size_t d = 0; d < outcome_.datasets.size(); ++d) {
    Collect(std::move(known[d]), std::move(asking.fresh()[d]), &outcome_.datasets[d]);
  }
  outcome_.interrupted = interrupted();
  if (!status.ok()) return status;
  if (!outcome_.interrupted) {
    // In order, once each; answers to other requests are left behind.
    for (const DatasetRun& run : outcome_.datasets) {
      VALLM_RETURN_IF_ERROR(
          WriteFileAtomically(RecordsPath(config_.work_dir, run.name), RecordsText(run.records)));
    }
  }
  return std::move(outcome_);
}

}  // namespace vallm::eval
