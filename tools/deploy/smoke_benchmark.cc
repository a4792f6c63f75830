#include "tools/deploy/smoke_benchmark.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/chat/sse_parser.h"
#include "tools/http/http_client.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::json;

struct Answer {
  absl::Duration first_token;
  absl::Duration total;
  int64_t tokens = 0;
};

bool SaysSomething(const Json& choice) {
  for (const char* part : {"content", "reasoning_content"}) {
    const auto pointer = Json::json_pointer(absl::StrCat("/delta/", part));
    if (!choice.contains(pointer)) continue;
    const Json& text = choice[pointer];
    if (text.is_string() && text != "") return true;
  }
  return false;
}

absl::StatusOr<Answer> Ask(const SmokeBenchmarkOptions& options) {
  HttpRequest request;
  request.method = "POST";
  request.origin = options.origin;
  request.path = "/v1/chat/completions";
  request.bearer_token = options.api_key;
  request.body =
      Json{{"model", options.model},
           {"messages",
            {{{"role", "user"}, {"content", "Write a long essay on the history of computing."}}}},
           {"temperature", 0},
           {"max_tokens", options.max_tokens},
           {"stream", true},
           {"stream_options", {{"include_usage", true}}}}
          .dump();
  const absl::Time begin = absl::Now();
  std::optional<absl::Time> first;
  Answer answer;
  std::string error;
  SseParser parser;
  const auto reply = SendHttp(request, [&](std::string_view bytes) {
    for (const std::string& event : parser.Feed(bytes)) {
      const Json json = Json::parse(event, nullptr, /*allow_exceptions=*/false);
      if (!json.is_object()) continue;
      if (json.contains("error")) error = json["error"].value("message", event);
      if (!first.has_value() && json.contains("choices") && !json["choices"].empty()) {
        if (SaysSomething(json["choices"][0])) first = absl::Now();
      }
      if (json.contains("usage") && json["usage"].is_object()) {
        answer.tokens = json["usage"].value("completion_tokens", int64_t{0});
      }
    }
    return true;
  });
  VALLM_RETURN_IF_ERROR(reply.status());
  if (reply->status != 200) {
    return absl::FailedPreconditionError(absl::StrCat("HTTP ", reply->status, ": ", reply->body));
  }
  if (!error.empty()) return absl::FailedPreconditionError(error);
  answer.total = absl::Now() - begin;
  answer.first_token = first.value_or(absl::Now()) - begin;
  return answer;
}

}  // namespace

absl::StatusOr<SmokeBenchmarkResult> RunSmokeBenchmark(const SmokeBenchmarkOptions& options) {
  SmokeBenchmarkResult result;
  absl::Duration first;
  absl::Duration decode;
  for (int i = 0; i < options.count; ++i) {
    VALLM_ASSIGN_OR_RETURN(const Answer answer, Ask(options));
    options.say(absl::StrFormat("  %d of %d: first token after %.3f s, %d tokens in %.1f s", i + 1,
                                options.count, absl::ToDoubleSeconds(answer.first_token),
                                answer.tokens, absl::ToDoubleSeconds(answer.total)));
    first += answer.first_token;
    decode += answer.total - answer.first_token;
    result.completion_tokens += answer.tokens;
  }
  result.mean_first_token = first / options.count;
  const double seconds = absl::ToDoubleSeconds(decode);
  result.tokens_per_second =
      seconds > 0 ? static_cast<double>(result.completion_tokens) / seconds : 0;
  return result;
}

}  // namespace vallm::tools
