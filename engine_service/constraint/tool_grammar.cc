#include "engine_service/constraint/tool_grammar.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/constraint/json_schema.h"
#include "nlohmann/json.hpp"

namespace vallm::engine {
namespace {

using Json = nlohmann::ordered_json;

ExprPtr Tag(const char* text, const ConstraintVocabulary& vocabulary) {
  return vocabulary.AddedToken(text) ? TokenExpr(text) : BytesExpr(text);
}

absl::StatusOr<ExprPtr> ArgumentsOf(const Json& function, const std::string& name,
                                    Grammar* grammar) {
  const auto parameters = function.find("parameters");
  if (parameters == function.end() || parameters->is_null()) return JsonRules(grammar).Object();
  absl::StatusOr<ExprPtr> result = SchemaCompiler(&*parameters, grammar).Compile(*parameters, "#");
  if (result.ok()) return result;
  return absl::Status(result.status().code(),
                      absl::StrCat("parameters of tool '", name, "': ", result.status().message()));
}

}  // namespace

absl::StatusOr<int> AddToolCalls(std::string_view tools, std::string_view only, bool parallel,
                                 const ConstraintVocabulary& vocabulary, Grammar* grammar) {
  if (tools.size() > kMaxSchemaBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the tools have ", tools.size(), " bytes; the limit is ", kMaxSchemaBytes));
  }
  const Json list = Json::parse(tools, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return absl::InvalidArgumentError("tools must be a JSON array");
  std::vector<ExprPtr> calls;
  for (const Json& tool : list) {
    const Json function = tool.is_object() ? tool.value("function", Json()) : Json();
    const Json name = function.is_object() ? function.value("name", Json()) : Json();
    if (!name.is_string()) {
      return absl::InvalidArgumentError(
          "a tool must be {\"type\": \"function\", \"function\": "
          "{\"name\": ..., \"parameters\": ...}}");
    }
    const auto text = name.get<std::string>();
    if (!only.empty() && text != only) continue;
    VALLM_ASSIGN_OR_RETURN(ExprPtr arguments, ArgumentsOf(function, text, grammar));
    calls.push_back(
        SequenceExpr({QuotedJson(text), BytesExpr(", \"arguments\": "), std::move(arguments)}));
  }
  if (calls.empty()) {
    return absl::InvalidArgumentError(only.empty()
                                          ? "there are no tools to call"
                                          : absl::StrCat("there is no tool '", ToAbsl(only), "'"));
  }
  const ExprPtr call = SequenceExpr({Tag("<tool_call>", vocabulary), BytesExpr("\n{\"name\": "),
                                     ChoiceExpr(std::move(calls)), BytesExpr("}\n"),
                                     Tag("</tool_call>", vocabulary)});
  const int rule = grammar->AddRule("(tool call)", call);
  ExprPtr root = RuleExpr(rule);
  if (parallel) {
    root = SequenceExpr(
        {root, RepeatExpr(SequenceExpr({BytesExpr("\n"), RuleExpr(rule)}), 0, kUnbounded)});
  }
  return grammar->AddRule("(tool calls)", std::move(root));
}

}  // namespace vallm::engine
