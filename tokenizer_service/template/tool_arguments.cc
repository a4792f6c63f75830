#include "tokenizer_service/template/tool_arguments.h"

#include <memory>
#include <utility>
#include <vector>

#include "tokenizer_service/template/json_value.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

Value WithMember(const Value& object, std::string_view name, Value value) {
  auto copy = std::make_unique<DictCell>();
  for (const auto& [key, member] : object.dict().entries()) copy->Set(key, member);
  copy->Set(name, std::move(value));
  return Value::Dict(copy.release());
}

Value ObjectOf(const Value& text, MalformedArguments malformed) {
  if (StripSpace(text.text(), /*left=*/true, /*right=*/true).empty()) {
    return Value::Dict(new DictCell);
  }
  auto parsed = ParseJson(text.text(), "arguments");
  if (parsed.ok() && parsed->is_dict()) return *std::move(parsed);
  if (malformed == MalformedArguments::kText) return text;
  auto object = std::make_unique<DictCell>();
  object->Set("arguments", text);
  return Value::Dict(object.release());
}

// The object that has the name and the arguments: the call itself or its "function".
const Value& FunctionOf(const Value& call) {
  const Value* function = call.dict().Find("function");
  return function == nullptr ? call : *function;
}

const Value* ArgumentText(const Value& call) {
  const Value* arguments = FunctionOf(call).dict().Find("arguments");
  return arguments != nullptr && arguments->is_str() ? arguments : nullptr;
}

Value ConvertCall(const Value& call, MalformedArguments malformed) {
  const Value* text = ArgumentText(call);
  if (text == nullptr) return call;
  Value function = WithMember(FunctionOf(call), "arguments", ObjectOf(*text, malformed));
  return call.dict().Find("function") == nullptr
             ? function
             : WithMember(call, "function", std::move(function));
}

const Value* CallsOf(const Value& message) { return message.dict().Find("tool_calls"); }

}  // namespace

Value WithArgumentObjects(const Value& messages, MalformedArguments malformed) {
  std::vector<Value> out;
  out.reserve(messages.items().size());
  for (const Value& message : messages.items()) {
    const Value* calls = CallsOf(message);
    if (calls == nullptr) {
      out.push_back(message);
      continue;
    }
    std::vector<Value> converted;
    for (const Value& call : calls->items()) converted.push_back(ConvertCall(call, malformed));
    out.push_back(WithMember(message, "tool_calls", Value::List(std::move(converted))));
  }
  return Value::List(std::move(out));
}

bool HasArgumentText(const Value& messages) {
  for (const Value& message : messages.items()) {
    const Value* calls = CallsOf(message);
    if (calls == nullptr) continue;
    for (const Value& call : calls->items()) {
      if (ArgumentText(call) != nullptr) return true;
    }
  }
  return false;
}

}  // namespace vallm::tokenizer
