#include "tools/doctor/live_checks.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"

namespace vallm::tools {
namespace {

using nlohmann::json;

constexpr char kMixedText[] = "Grüße, 世界! \u00e9 😀 <|im_end|> 3.14159\n\t  def f(x): return x";

json ChatBody(const std::string& model, const std::string& text) {
  return {{"model", model},
          {"messages", {{{"role", "user"}, {"content", text}}}},
          {"temperature", 0},
          {"max_tokens", 96}};
}

json Weather() {
  return {{{"type", "function"},
           {"function",
            {{"name", "get_weather"},
             {"description", "The weather of a city"},
             {"parameters",
              {{"type", "object"},
               {"properties", {{"city", {{"type", "string"}, {"maxLength", 20}}}}},
               {"required", {"city"}},
               {"additionalProperties", false}}}}}}};
}

class LiveChecks {
 public:
  LiveChecks(const Endpoint& endpoint, std::string model, Findings& findings)
      : endpoint_(endpoint), model_(std::move(model)), findings_(findings) {}

  void Run() {
    CheckAgreement();
    CheckThinking();
    CheckTools();
    CheckFormat();
    CheckStop();
    CheckTokenizer();
    CheckRefusals();
  }

 private:
  void Add(const std::string& check, const absl::Status& status, const std::string& detail,
           const std::string& remedy = "") {
    Finding finding =
        status.ok() ? Finding{.check = check, .detail = detail} : Failure(check, status, remedy);
    findings_.push_back(std::move(finding));
  }

  static absl::Status Wrong(const std::string& message) {
    return absl::FailedPreconditionError(message);
  }

  // The same request, whole, streamed and once more.
  void CheckAgreement() {
    absl::Duration first;
    std::string detail;
    const auto check = [&]() -> absl::Status {
      const json body = ChatBody(model_, "What is 17 + 25?");
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer whole, endpoint_.Chat(body));
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer streamed, endpoint_.StreamChat(body, &first));
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer again, endpoint_.Chat(body));
      if (whole.finish_reason.empty()) return Wrong("an answer without finish_reason");
      if (whole.completion_tokens < 1) return Wrong("usage counts no token");
      if (!(whole == streamed)) {
        return Wrong(absl::StrCat("a stream says '", streamed.content, "', the whole answer '",
                                  whole.content, "'"));
      }
      if (!(whole == again)) {
        return Wrong(absl::StrCat("at temperature 0 it answered '", whole.content, "', then '",
                                  again.content, "'"));
      }
      detail = absl::StrCat(whole.completion_tokens, " tokens, first after ",
                            absl::StrFormat("%.0f ms", absl::ToDoubleMilliseconds(first)),
                            absl::StrContains(whole.content, "42")
                                ? "; 17 + 25 = 42"
                                : "; it does not know what 17 + 25 is");
      return absl::OkStatus();
    };
    Add("answers", check(), detail,
        "instances that differ in weights or flags answer differently: compare their fingerprints "
        "in GET /instances");
  }

  void CheckThinking() {
    std::string detail;
    const auto check = [&]() -> absl::Status {
      json body = ChatBody(model_, "Hello!");
      body["chat_template_kwargs"] = {{"enable_thinking", false}};
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer off, endpoint_.Chat(body));
      body["chat_template_kwargs"] = {{"enable_thinking", true}};
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer on, endpoint_.Chat(body));
      if (absl::StrContains(off.content, "</think>") || absl::StrContains(on.content, "</think>")) {
        return Wrong("a thought's end is part of the content: '</think>'");
      }
      if (!off.reasoning.empty()) return Wrong("it thinks although enable_thinking is false");
      detail = on.reasoning.empty() ? "it does not think" : "thoughts come apart from the answer";
      return absl::OkStatus();
    };
    Add("thinking", check(), detail, "check --reasoning-parser and --chat-template");
  }

  void CheckTools() {
    std::string detail;
    const auto check = [&]() -> absl::Status {
      json body = ChatBody(model_, "How is the weather in Paris?");
      body["tools"] = Weather();
      body["tool_choice"] = "required";
      body["chat_template_kwargs"] = {{"enable_thinking", false}};
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer answer, endpoint_.Chat(body));
      const size_t open = answer.tool_calls.find('(');
      const size_t close = answer.tool_calls.find(")\n");
      if (open == std::string::npos || close == std::string::npos) {
        return Wrong("no call although tool_choice is required");
      }
      const json arguments = json::parse(answer.tool_calls.substr(open + 1, close - open - 1),
                                         nullptr, /*allow_exceptions=*/false);
      if (!arguments.is_object() || !arguments.contains("city")) {
        return Wrong(absl::StrCat("a call that its schema does not allow: ", answer.tool_calls));
      }
      detail = answer.tool_calls.substr(0, close + 1);
      return absl::OkStatus();
    };
    Add("tool calls", check(), detail, "check --tool-call-parser and --enable-auto-tool-choice");
  }

  void CheckFormat() {
    std::string detail;
    const auto check = [&]() -> absl::Status {
      json body = ChatBody(model_, "Say yes or no, and how sure you are.");
      body["chat_template_kwargs"] = {{"enable_thinking", false}};
      body["response_format"] = {
          {"type", "json_schema"},
          {"json_schema",
           {{"name", "answer"},
            {"schema",
             {{"type", "object"},
              {"properties",
               {{"answer", {{"enum", {"yes", "no"}}}}, {"sure", {{"type", "boolean"}}}}},
              {"required", {"answer", "sure"}},
              {"additionalProperties", false}}}}}};
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer answer, endpoint_.Chat(body));
      const json content = json::parse(answer.content, nullptr, /*allow_exceptions=*/false);
      if (!content.is_object() || !content.contains("answer") || !content.contains("sure")) {
        return Wrong(absl::StrCat("an answer that its schema does not allow: ", answer.content));
      }
      detail = answer.content;
      return absl::OkStatus();
    };
    Add("formats", check(), detail);
  }

  void CheckStop() {
    const auto check = [&]() -> absl::Status {
      json body = ChatBody(model_, "Count: one two three");
      body["chat_template_kwargs"] = {{"enable_thinking", false}};
      body["max_tokens"] = 3;
      body["ignore_eos"] = true;
      VALLM_ASSIGN_OR_RETURN(const ChatAnswer answer, endpoint_.Chat(body));
      if (answer.finish_reason != "length" || answer.completion_tokens != 3) {
        return Wrong(absl::StrCat("max_tokens 3 gave ", answer.completion_tokens,
                                  " tokens and finish_reason ", answer.finish_reason));
      }
      return absl::OkStatus();
    };
    Add("max_tokens", check(), "held to");
  }

  void CheckTokenizer() {
    std::string detail;
    const auto check = [&]() -> absl::Status {
      VALLM_ASSIGN_OR_RETURN(const json encoded,
                             endpoint_.Post("/tokenize", {{"model", model_},
                                                          {"prompt", kMixedText},
                                                          {"add_special_tokens", false}}));
      if (!encoded.contains("tokens")) return Wrong("/tokenize gave no tokens");
      VALLM_ASSIGN_OR_RETURN(const json decoded,
                             endpoint_.Post("/detokenize", {{"model", model_},
                                                            {"tokens", encoded["tokens"]},
                                                            {"skip_special_tokens", false}}));
      if (decoded.value("prompt", "") != kMixedText) {
        return Wrong(absl::StrCat("tokens do not give back the text: ", decoded.dump()));
      }
      detail = absl::StrCat(encoded["tokens"].size(), " tokens there and back");
      return absl::OkStatus();
    };
    Add("tokenizer", check(), detail, "tokenizer.json does not belong to the model");
  }

  void CheckRefusals() {
    const auto check = [&]() -> absl::Status {
      VALLM_ASSIGN_OR_RETURN(const auto model,
                             endpoint_.Try("/v1/chat/completions", ChatBody("no-such-model", "x")));
      if (model.status != 404) {
        return Wrong(absl::StrCat("an unknown model gave HTTP ", model.status, ", not 404"));
      }
      json wrong = ChatBody(model_, "x");
      wrong["temperature"] = "hot";
      VALLM_ASSIGN_OR_RETURN(const auto type, endpoint_.Try("/v1/chat/completions", wrong));
      if (type.status != 400) {
        return Wrong(absl::StrCat("temperature \"hot\" gave HTTP ", type.status, ", not 400"));
      }
      return absl::OkStatus();
    };
    Add("refusals", check(), "404 and 400 where they belong");
    const auto length = [&]() -> absl::Status {
      VALLM_ASSIGN_OR_RETURN(const json models, endpoint_.Get("/v1/models"));
      const int64_t limit = models["data"][0].value("max_model_len", int64_t{0});
      if (limit == 0 || limit > 200000) return absl::OkStatus();
      std::string text;
      for (int64_t i = 0; i < limit; ++i) text += " word 1";
      VALLM_ASSIGN_OR_RETURN(const auto refusal,
                             endpoint_.Try("/v1/chat/completions", ChatBody(model_, text)));
      if (refusal.status != 400 || refusal.code != "context_length_exceeded") {
        return Wrong(absl::StrCat("a prompt longer than ", limit, " tokens gave HTTP ",
                                  refusal.status, " ", refusal.code));
      }
      return absl::OkStatus();
    };
    Add("length limit", length(), "a prompt that is too long is refused by name");
  }

  const Endpoint& endpoint_;
  const std::string model_;
  Findings& findings_;
};

}  // namespace

absl::StatusOr<std::string> ModelOf(const Endpoint& endpoint, const std::string& model) {
  VALLM_ASSIGN_OR_RETURN(const json models, endpoint.Get("/v1/models"));
  if (!models.is_object() || !models.contains("data") || models["data"].empty()) {
    return absl::FailedPreconditionError("/v1/models lists no model");
  }
  std::string names;
  for (const json& entry : models["data"]) {
    const std::string id = entry.value("id", "");
    if (model.empty() || id == model) return id;
    absl::StrAppend(&names, names.empty() ? "" : ", ", id);
  }
  return absl::NotFoundError(absl::StrCat("the server does not serve ", model, " but ", names));
}

void CheckLive(const Endpoint& endpoint, const std::string& model, Findings& findings) {
  const auto name = ModelOf(endpoint, model);
  if (!name.ok()) {
    const bool key = absl::StrContains(name.status().message(), "HTTP 401");
    findings.push_back(Failure("server", name.status(),
                               key ? "give its key with --api-key"
                                   : absl::StrCat("does it run, and is ", endpoint.origin(),
                                                  " its address? `vallm status`")));
    return;
  }
  findings.push_back(
      {.check = "server", .detail = absl::StrCat(endpoint.origin(), " serves ", *name)});
  LiveChecks(endpoint, *name, findings).Run();
}

}  // namespace vallm::tools
