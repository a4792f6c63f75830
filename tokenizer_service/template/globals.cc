#include "tokenizer_service/template/globals.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/builtin.h"
#include "tokenizer_service/template/interpreter_objects.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/strftime.h"

namespace vallm::tokenizer {
namespace {

using Result = absl::StatusOr<Value>;

Result Range(Runtime& runtime, CallArgs& args) {
  if (!args.keyword.empty()) return TemplateError("range() takes no keyword arguments");
  const size_t count = args.positional.size();
  if (count < 1 || count > 3) {
    return TemplateError("range expected 1 to 3 arguments, got ", count);
  }
  int64_t bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < count; ++i) {
    if (args.positional[i].is_undefined()) return UndefinedError(args.positional[i]);
    if (args.positional[i].kind() == Value::Kind::kBigInt) {
      return TemplateError("range too big; the sandbox blocks ranges larger than ",
                           runtime.limits().max_range, ", and bounds beyond 64 bits are none");
    }
    VALLM_ASSIGN_OR_RETURN(bounds[count == 1 ? 1 : i], IntArg(args, i, 0));
  }
  if (bounds[2] == 0) return TemplateError("range() arg 3 must not be zero");
  Value range = Value::Range(bounds[0], bounds[1], bounds[2]);
  if (range.range().length > runtime.limits().max_range || range.range().length < 0) {
    return TemplateError("range too big; the sandbox blocks ranges larger than ",
                         runtime.limits().max_range);
  }
  return range;
}

// dict(mapping or pairs, **members).
absl::StatusOr<std::unique_ptr<DictCell>> BuildDict(Runtime& runtime, const CallArgs& args) {
  auto dict = std::make_unique<DictCell>();
  if (args.positional.size() > 1) {
    return TemplateError("dict expected at most 1 argument, got ", args.positional.size());
  }
  if (!args.positional.empty() && args.positional[0].is_dict()) {
    VALLM_RETURN_IF_ERROR(runtime.Charge(static_cast<int64_t>(args.positional[0].dict().size())));
    for (const auto& [key, value] : args.positional[0].dict().entries()) dict->Set(key, value);
  } else if (!args.positional.empty()) {
    if (args.positional[0].is_undefined()) return UndefinedError(args.positional[0]);
    VALLM_ASSIGN_OR_RETURN(const Value pairs, runtime.Iterate(args.positional[0]));
    for (const Value& pair : pairs.items()) {
      VALLM_ASSIGN_OR_RETURN(const Value parts, runtime.Iterate(pair));
      if (parts.items().size() != 2) {
        return TemplateError("dictionary update sequence element has length ", parts.items().size(),
                             "; 2 is required");
      }
      VALLM_RETURN_IF_ERROR(runtime.CheckKey(parts.items()[0]));
      dict->Set(parts.items()[0], parts.items()[1]);
    }
  }
  for (const auto& [name, value] : args.keyword) dict->Set(name, value);
  return dict;
}

Result Dict(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(std::unique_ptr<DictCell> dict, BuildDict(runtime, args));
  return runtime.MakeDict(std::move(dict));
}

Result Namespace(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::unique_ptr<DictCell> members, BuildDict(runtime, args));
  VALLM_RETURN_IF_ERROR(runtime.Charge(16 + static_cast<int64_t>(members->size())));
  if (members->depth() >= runtime.limits().max_value_depth) {
    return TemplateError("value is nested too deep; limit is ", runtime.limits().max_value_depth);
  }
  Value space = Value::FromObject(new NamespaceObject(*members));
  runtime.Adopt(space);
  return space;
}

Result RaiseException(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string message, runtime.Str(args.positional[0]));
  return TemplateError(message);
}

Result StrftimeNow(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string_view format, StrArg(args, 0, ""));
  VALLM_ASSIGN_OR_RETURN(std::string text, FormatTime(format, runtime.now(), runtime.time_zone()));
  return runtime.MakeStr(std::move(text));
}

Result Lipsum(Runtime& runtime, CallArgs& args) {
  return TemplateError("lipsum() is not available: a prompt must be reproducible");
}

class CyclerObject : public Object {
 public:
  explicit CyclerObject(std::vector<Value> items) : items_(std::move(items)) {
    for (const Value& item : items_) depth_ = std::max(depth_, 1 + item.Depth());
  }
  std::string_view TypeName() const override { return "Cycler"; }
  int depth() const override { return depth_; }
  void Clear() override { items_.clear(); }
  absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name) override;

  Value Current() const { return items_[at_]; }
  Value Next() {
    Value item = Current();
    at_ = (at_ + 1) % items_.size();
    return item;
  }
  void Reset() { at_ = 0; }

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
  int depth_ = 1;
};

Result CyclerNext(Runtime& runtime, CallArgs& args) {
  return args.positional[0].ObjectAs<CyclerObject>()->Next();
}

Result CyclerReset(Runtime& runtime, CallArgs& args) {
  args.positional[0].ObjectAs<CyclerObject>()->Reset();
  return Value();
}

absl::StatusOr<Value> CyclerObject::GetAttr(Runtime& runtime, std::string_view name) {
  static const Builtin next{"next", &CyclerNext, 1, {"self"}};
  static const Builtin reset{"reset", &CyclerReset, 1, {"self"}};
  if (name == "current") return Current();
  if (name != "next" && name != "reset") return Value::Missing();
  return Value::FromObject(
      new MethodObject(Value::FromObject(this), name == "next" ? next : reset));
}

Result Cycler(Runtime& runtime, CallArgs& args) {
  if (args.positional.empty()) return TemplateError("at least one item has to be provided");
  VALLM_RETURN_IF_ERROR(runtime.Charge(8 + static_cast<int64_t>(args.positional.size())));
  return Value::FromObject(new CyclerObject(std::move(args.positional)));
}

class JoinerObject : public Object {
 public:
  explicit JoinerObject(Value separator) : separator_(std::move(separator)) {}
  std::string_view TypeName() const override { return "Joiner"; }
  bool callable() const override { return true; }
  absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args) override {
    if (std::exchange(used_, true)) return separator_;
    return Value::Str("");
  }

 private:
  const Value separator_;
  bool used_ = false;
};

Result Joiner(Runtime& runtime, CallArgs& args) {
  const Value& separator = args.positional[0];
  return Value::FromObject(new JoinerObject(separator.is_missing() ? Value::Str(", ") : separator));
}

}  // namespace

Value GlobalValue(std::string_view name) {
  static const auto& table = *new BuiltinTable({
      {"range", &Range, Builtin::kVariadic, {}},
      {"dict", &Dict, Builtin::kVariadic, {}},
      {"namespace", &Namespace, Builtin::kVariadic, {}},
      {"raise_exception", &RaiseException, 1, {"message"}},
      {"strftime_now", &StrftimeNow, 1, {"format"}},
      {"lipsum", &Lipsum, 0, {"n", "html", "min", "max"}},
      {"cycler", &Cycler, Builtin::kVariadic, {}},
      {"joiner", &Joiner, 0, {"sep"}},
  });
  const Builtin* found = table.Find(name);
  return found == nullptr ? Value::Missing() : Value::FromObject(new FunctionObject(*found));
}

}  // namespace vallm::tokenizer
