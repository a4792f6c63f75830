#include "tools/eval/run/record.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

std::optional<int64_t> CountMember(const ordered_json& json, const char* name) {
  if (!json.is_object() || !json.contains(name) || !json[name].is_number_integer()) return {};
  return json[name].get<int64_t>();
}

}  // namespace

double Record::score() const {
  if (verdict.scores.empty() || verdict.scores[0].values.empty()) return 0;
  double sum = 0;
  for (const double value : verdict.scores[0].values) sum += value;
  return sum / static_cast<double>(verdict.scores[0].values.size());
}

ordered_json RecordToJson(const Record& record) {
  ordered_json json = {{"dataset", record.dataset}, {"subset", record.subset},
                       {"id", record.id},           {"repeat", record.repeat},
                       {"key", record.key},         {"messages", *record.messages}};
  if (!record.error.empty()) {
    json["error"] = record.error;
    return json;
  }
  const ChatReply& reply = record.reply;
  ordered_json output = {{"content", reply.output.content}};
  if (!reply.output.reasoning.empty()) output["reasoning_content"] = reply.output.reasoning;
  if (reply.output.tool_calls != nullptr) output["tool_calls"] = *reply.output.tool_calls;
  output["finish_reason"] = reply.finish_reason;
  if (!reply.token_ids.empty()) output["token_ids"] = reply.token_ids;
  if (reply.prompt_tokens) output["prompt_tokens"] = *reply.prompt_tokens;
  if (reply.completion_tokens) output["completion_tokens"] = *reply.completion_tokens;
  output["latency_s"] = absl::ToDoubleSeconds(reply.latency);
  if (reply.attempts > 1) output["attempts"] = reply.attempts;
  json["output"] = std::move(output);
  json["extracted"] = record.verdict.extracted;
  json["target"] = record.target;
  ordered_json scores = ordered_json::object();
  for (const Score& score : record.verdict.scores) {
    if (score.values.size() == 1) {
      scores[score.metric] = score.values[0];
    } else {
      scores[score.metric] = score.values;
    }
  }
  json["scores"] = std::move(scores);
  json["score"] = record.score();
  if (!record.verdict.note.empty()) json["note"] = record.verdict.note;
  return json;
}

absl::StatusOr<Record> RecordFromJson(const ordered_json& json) {
  Record record;
  for (const auto& [name, member] :
       {std::pair<const char*, std::string*>{"dataset", &record.dataset},
        {"subset", &record.subset},
        {"id", &record.id},
        {"key", &record.key}}) {
    if (!json.contains(name) || !json[name].is_string()) {
      return absl::InvalidArgumentError(absl::StrCat("'", name, "' must be a string"));
    }
    *member = json[name].get<std::string>();
  }
  record.repeat = static_cast<int>(CountMember(json, "repeat").value_or(0));
  record.messages = ShareJson(json.contains("messages") ? json["messages"] : ordered_json());
  record.error = TextMember(json, "error");
  if (!record.error.empty()) return record;
  if (!json.contains("output") || !json["output"].is_object()) {
    return absl::InvalidArgumentError("'output' must be an object");
  }
  const ordered_json& output = json["output"];
  record.reply.output.content = TextMember(output, "content");
  record.reply.output.reasoning = TextMember(output, "reasoning_content");
  if (output.contains("tool_calls") && output["tool_calls"].is_array()) {
    record.reply.output.tool_calls = ShareJson(output["tool_calls"]);
  }
  record.reply.finish_reason = TextMember(output, "finish_reason");
  if (output.contains("token_ids") && output["token_ids"].is_array()) {
    for (const ordered_json& id : output["token_ids"]) {
      if (id.is_number_integer()) record.reply.token_ids.push_back(id.get<int32_t>());
    }
  }
  record.reply.prompt_tokens = CountMember(output, "prompt_tokens");
  record.reply.completion_tokens = CountMember(output, "completion_tokens");
  if (output.contains("latency_s") && output["latency_s"].is_number()) {
    record.reply.latency = absl::Seconds(output["latency_s"].get<double>());
  }
  record.verdict.extracted = TextMember(json, "extracted");
  record.target = TextMember(json, "target");
  record.verdict.note = TextMember(json, "note");
  if (json.contains("scores") && json["scores"].is_object()) {
    for (const auto& [metric, value] : json["scores"].items()) {
      Score score{.metric = metric, .values = {}};
      if (value.is_number()) score.values = {value.get<double>()};
      if (value.is_array()) {
        for (const ordered_json& one : value) {
          if (one.is_number()) score.values.push_back(one.get<double>());
        }
      }
      record.verdict.scores.push_back(std::move(score));
    }
  }
  return record;
}

absl::StatusOr<std::vector<Record>> LoadRecords(const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<Record> records;
  const auto lines = SplitAt(text, "\n");
  for (size_t i = 0; i < lines.size(); ++i) {
    if (Strip(lines[i]).empty()) continue;
    const ordered_json json = ordered_json::parse(lines[i], nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      if (i + 1 == lines.size()) break;  // cut off
      return absl::InvalidArgumentError(absl::StrCat(path, ":", i + 1, ": no JSON object"));
    }
    auto record = RecordFromJson(json);
    if (!record.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", i + 1, ": ", record.status().message()));
    }
    records.push_back(*std::move(record));
  }
  return records;
}

std::string JsonLine(const ordered_json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

std::string RequestKey(const std::string& question, const ordered_json& body, int repeat) {
  // FNV-1a: 64 bits are plenty to tell the requests of a run apart.
  uint64_t hash = 14695981039346656037U;
  const std::string text = absl::StrCat(question, "\n", JsonLine(body), "#", repeat);
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  hash ^= hash >> 31;
  return absl::StrFormat("%016x", hash);
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& text) {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary);
  file << text;
  file.close();
  if (!file || std::rename(part.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

}  // namespace vallm::eval
