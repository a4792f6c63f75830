#include "gateway/admin/json.h"

#include <cmath>
#include <optional>

#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// Clients choose some of the names: what is not UTF-8 is replaced.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// Rounded to a thousandth, which is plenty for a screen.
double Rounded(double value) { return std::round(value * 1000) / 1000; }
double UnixSeconds(absl::Time time) {
  return Rounded(absl::ToDoubleSeconds(time - absl::UnixEpoch()));
}
Json Milliseconds(std::optional<absl::Duration> duration) {
  return duration ? Json(Rounded(absl::ToDoubleMilliseconds(*duration))) : Json(nullptr);
}

Json InstanceJson(const InstanceSnapshot& instance) {
  const v1::Load& load = instance.load;
  const v1::ModelInfo info = instance.info.value_or(v1::ModelInfo());
  return {{"name", instance.name},
          {"address", instance.address},
          {"state", instance.state},
          {"admin_state", instance.admin_state},
          {"serving", instance.serving},
          {"breaker", NameOf(instance.breaker)},
          {"breaker_openings", instance.breaker_openings},
          {"running", load.running_count()},
          {"waiting", load.waiting_count()},
          {"in_flight", instance.in_flight},
          {"limit", instance.limit},
          {"kv_blocks_total", load.total_kv_block_count()},
          {"kv_blocks_used", load.total_kv_block_count() - load.free_kv_block_count()},
          {"kv_blocks_cached", load.cached_kv_block_count()},
          {"tokens_per_second", Rounded(load.tokens_per_second())},
          {"prompt_tokens", load.prompt_token_count()},
          {"generated_tokens", load.generated_token_count()},
          {"prefix_queried_tokens", load.prefix_queried_token_count()},
          {"prefix_hit_tokens", load.prefix_hit_token_count()},
          {"preemptions", load.preemption_count()},
          {"loaded_weight_bytes", load.loaded_weight_bytes()},
          {"total_weight_bytes", load.total_weight_bytes()},
          {"restarts", instance.restarts},
          {"device", info.device()},
          {"tensor_parallel_size", info.tensor_parallel_size()},
          {"fingerprint", info.fingerprint()}};
}

// When each phase ended, in order; those after the first absent one were not reached.
const char* PhaseOf(const RequestEntry& entry) {
  const RequestProgress& progress = entry.progress;
  if (entry.ended) return "done";
  if (!progress.tokenized) return "tokenize";
  if (!progress.placed) return "queue";
  return progress.first_token ? "decode" : "prefill";
}

Json EntryJson(const RequestEntry& entry, absl::Time now) {
  const RequestProgress& progress = entry.progress;
  const absl::Time end = entry.ended.value_or(now);
  // A phase that was reached lasts until the next one, or until now.
  const auto phase = [end](std::optional<absl::Time> begin, std::optional<absl::Time> next) {
    return Milliseconds(begin ? std::optional(next.value_or(end) - *begin) : std::nullopt);
  };
  return {{"id", entry.id},
          {"answer_id", progress.answer_id},
          {"endpoint", entry.endpoint},
          {"key", entry.key_name},
          {"model", progress.model},
          {"streamed", progress.streamed},
          {"choices", progress.choices},
          {"phase", PhaseOf(entry)},
          {"status", entry.status},
          {"finish_reason", progress.finish_reason},
          {"instances", progress.instances},
          {"moves", progress.moves},
          {"prompt_tokens", progress.prompt_tokens},
          {"cached_tokens", progress.cached_tokens},
          {"completion_tokens", progress.completion_tokens},
          {"arrived", UnixSeconds(entry.arrived)},
          {"total_ms", Milliseconds(end - entry.arrived)},
          {"tokenize_ms", phase(entry.arrived, progress.tokenized)},
          {"queue_ms", phase(progress.tokenized, progress.placed)},
          {"prefill_ms", phase(progress.placed, progress.first_token)},
          {"decode_ms", phase(progress.first_token, std::nullopt)}};
}

Json EntriesJson(const std::vector<RequestEntry>& entries, absl::Time now) {
  Json list = Json::array();
  for (const RequestEntry& entry : entries) list.push_back(EntryJson(entry, now));
  return list;
}

}  // namespace

std::string OverviewJson(const Overview& overview, absl::Time now) {
  Json instances = Json::array();
  for (const InstanceSnapshot& instance : overview.instances) {
    instances.push_back(InstanceJson(instance));
  }
  return Dump(
      {{"time", UnixSeconds(now)},
       {"version", overview.version},
       {"uptime_seconds", Rounded(absl::ToDoubleSeconds(now - overview.started))},
       {"draining", overview.draining},
       {"models", overview.models},
       {"queue", {{"waiting", overview.queued}, {"limit", overview.max_queue_size}}},
       {"requests",
        {{"active", overview.active_requests}, {"limit", overview.max_concurrent_requests}}},
       {"instances", std::move(instances)}});
}

std::string HistoryJson(const std::vector<HistoryPoint>& points, int step) {
  using Values = HistoryPoint::Values;
  Json times = Json::array();
  for (const HistoryPoint& point : points) times.push_back(point.time);
  Json series = Json::object();
  const auto add = [&points, &series](const char* name, auto value_of) {
    Json& column = series[name] = Json::array();
    for (const HistoryPoint& point : points) {
      column.push_back(point.values ? Json(value_of(*point.values)) : Json(nullptr));
    }
  };
  add("prompt_tokens_per_second",
      [](const Values& values) { return Rounded(values.prompt_tokens_per_second); });
  add("generated_tokens_per_second",
      [](const Values& values) { return Rounded(values.generated_tokens_per_second); });
  add("running", [](const Values& values) { return Rounded(values.running); });
  add("waiting", [](const Values& values) { return Rounded(values.waiting); });
  add("queued", [](const Values& values) { return Rounded(values.queued); });
  add("serving_instances", [](const Values& values) { return Rounded(values.serving_instances); });
  add("kv_cache_usage", [](const Values& values) { return Rounded(values.kv_cache_usage); });
  add("succeeded", [](const Values& values) { return values.succeeded; });
  add("failed", [](const Values& values) { return values.failed; });
  add("refused", [](const Values& values) { return values.refused; });
  add("aborted", [](const Values& values) { return values.aborted; });
  add("first_token_p50_ms",
      [](const Values& values) { return Milliseconds(values.first_token_p50); });
  add("first_token_p99_ms",
      [](const Values& values) { return Milliseconds(values.first_token_p99); });
  return Dump({{"step", step}, {"times", std::move(times)}, {"series", std::move(series)}});
}

std::string RequestsJson(const std::vector<RequestEntry>& active,
                         const std::vector<RequestEntry>& recent, absl::Time now) {
  return Dump({{"time", UnixSeconds(now)},
               {"active", EntriesJson(active, now)},
               {"recent", EntriesJson(recent, now)}});
}

}  // namespace vallm::gateway
