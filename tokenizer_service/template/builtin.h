// Functions written in C++: filters, tests, methods and globals, with Python's way of binding
// positional and keyword arguments.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_BUILTIN_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_BUILTIN_H_

#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/runtime.h"

namespace vallm::tokenizer {

struct Builtin {
  static constexpr int kVariadic = -1;

  std::string_view name;
  // `args.positional` has one value per parameter, Missing where none was given, and `args.keyword`
  // is empty; a variadic function gets the arguments as they came.
  absl::StatusOr<Value> (*function)(Runtime& runtime, CallArgs& args);
  int required = 0;  // leading parameters that must be given, or kVariadic
  std::vector<std::string_view> params;
};

// A fixed set of builtins by name. Immutable after construction.
class BuiltinTable {
 public:
  explicit BuiltinTable(std::vector<Builtin> builtins);
  const Builtin* Find(std::string_view name) const;  // null if absent

 private:
  std::vector<Builtin> builtins_;
  std::unordered_map<std::string_view, const Builtin*> by_name_;
};

// Binds and calls. Errors: INVALID_ARGUMENT for missing, surplus or unknown arguments.
absl::StatusOr<Value> CallBuiltin(Runtime& runtime, const Builtin& builtin, CallArgs args);

// A builtin as a value. `builtin` must outlive it (all are static).
class FunctionObject : public Object {
 public:
  explicit FunctionObject(const Builtin& builtin) : builtin_(builtin) {}
  std::string_view TypeName() const override { return "function"; }
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override;

 private:
  const Builtin& builtin_;
};

// A builtin bound to its first argument: a method.
class MethodObject : public Object {
 public:
  MethodObject(Value self, const Builtin& builtin) : self_(std::move(self)), builtin_(builtin) {}
  std::string_view TypeName() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override;
  int depth() const override { return 1 + self_.Depth(); }

 private:
  const Value self_;
  const Builtin& builtin_;
};

// Argument readers shared by builtins: index `i` of args, or the default when it is missing.
// Errors: INVALID_ARGUMENT "'str' object cannot be interpreted as an integer" and the like.
absl::StatusOr<int64_t> IntArg(const CallArgs& args, size_t i, int64_t fallback);
bool BoolArg(const CallArgs& args, size_t i, bool fallback);
absl::StatusOr<std::string_view> StrArg(const CallArgs& args, size_t i, std::string_view fallback);
bool HasArg(const CallArgs& args, size_t i);  // given, and not None

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_BUILTIN_H_
