#include "tokenizer_service/template/builtin.h"

#include <algorithm>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::tokenizer {
namespace {

absl::Status Bind(const Builtin& builtin, CallArgs* args) {
  const auto name = ToAbsl(builtin.name);
  const size_t count = builtin.params.size();
  if (args->positional.size() > count) {
    return TemplateError(name, "() takes at most ", count, " arguments (", args->positional.size(),
                         " given)");
  }
  args->positional.resize(count, Value::Missing());
  for (auto& [key, value] : args->keyword) {
    const auto it = std::find(builtin.params.begin(), builtin.params.end(), key);
    if (it == builtin.params.end()) {
      return TemplateError(name, "() got an unexpected keyword argument '", key, "'");
    }
    Value& slot = args->positional[static_cast<size_t>(it - builtin.params.begin())];
    if (!slot.is_missing()) {
      return TemplateError(name, "() got multiple values for argument '", key, "'");
    }
    slot = std::move(value);
  }
  args->keyword.clear();
  for (int i = 0; i < builtin.required; ++i) {
    if (args->positional[static_cast<size_t>(i)].is_missing()) {
      return TemplateError(name, "() missing required argument: '",
                           ToAbsl(builtin.params[static_cast<size_t>(i)]), "'");
    }
  }
  return absl::OkStatus();
}

}  // namespace

BuiltinTable::BuiltinTable(std::vector<Builtin> builtins) : builtins_(std::move(builtins)) {
  for (const Builtin& builtin : builtins_) by_name_.emplace(builtin.name, &builtin);
}

const Builtin* BuiltinTable::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

absl::StatusOr<Value> CallBuiltin(Runtime& runtime, const Builtin& builtin, CallArgs args) {
  if (builtin.required != Builtin::kVariadic) VALLM_RETURN_IF_ERROR(Bind(builtin, &args));
  return builtin.function(runtime, args);
}

absl::StatusOr<Value> FunctionObject::Call(Runtime& runtime, CallArgs args) {
  return CallBuiltin(runtime, builtin_, std::move(args));
}

absl::StatusOr<Value> MethodObject::Call(Runtime& runtime, CallArgs args) {
  args.positional.insert(args.positional.begin(), self_);
  return CallBuiltin(runtime, builtin_, std::move(args));
}

absl::StatusOr<int64_t> IntArg(const CallArgs& args, size_t i, int64_t fallback) {
  const Value& value = args.positional[i];
  if (value.is_missing()) return fallback;
  if (value.kind() == Value::Kind::kBigInt) {
    return value.big_int().negative() ? INT64_MIN : INT64_MAX;
  }
  if (!value.is_integral()) {
    return TemplateError("'", ToAbsl(value.TypeName()),
                         "' object cannot be interpreted as an integer");
  }
  return value.int_value();
}

bool BoolArg(const CallArgs& args, size_t i, bool fallback) {
  const Value& value = args.positional[i];
  return value.is_missing() ? fallback : value.Truthy();
}

absl::StatusOr<std::string_view> StrArg(const CallArgs& args, size_t i, std::string_view fallback) {
  const Value& value = args.positional[i];
  if (value.is_missing()) return fallback;
  if (!value.is_str()) {
    return TemplateError("expected str, not ", ToAbsl(value.TypeName()));
  }
  return value.text();
}

bool HasArg(const CallArgs& args, size_t i) {
  return !args.positional[i].is_missing() && !args.positional[i].is_none();
}

}  // namespace vallm::tokenizer
