#include "tokenizer_service/template/value_tests.h"

#include <string>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/template/filters.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;
using Result = absl::StatusOr<Value>;

template <bool (*kPredicate)(const Value&)>
Result Is(Runtime& runtime, CallArgs& args) {
  return Value::Bool(kPredicate(args.positional[0]));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsBoolean(const Value& v) { return v.is_bool(); }
bool IsTrue(const Value& v) { return v.is_bool() && v.bool_value(); }
bool IsFalse(const Value& v) { return v.is_bool() && !v.bool_value(); }
bool IsInteger(const Value& v) { return v.is_integral() && !v.is_bool(); }
bool IsFloat(const Value& v) { return v.kind() == Kind::kFloat; }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsString(const Value& v) { return v.is_str(); }
bool IsMapping(const Value& v) { return v.is_dict(); }
bool IsCallable(const Value& v) {
  return v.is_undefined() || (v.is_object() && v.object().callable());
}
bool IsEscaped(const Value& v) { return v.is_str() && v.str().markup(); }
bool IsSequence(const Value& v) {
  return v.is_str() || v.is_list_or_tuple() || v.is_dict() || v.kind() == Kind::kRange ||
         v.is_undefined();
}
bool IsIterable(const Value& v) {
  return IsSequence(v) || (v.is_object() && v.object().iterable());
}

// Whether `text` has cased letters and all of them are of one case.
template <bool (*kWanted)(char32_t), bool (*kOther)(char32_t)>
Result IsCase(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, runtime.Str(args.positional[0]));
  bool found = false;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (kOther(c) || IsTitle(c)) return Value::Bool(false);
    found = found || kWanted(c);
  }
  return Value::Bool(found);
}

template <CompareOp kOp>
Result Compare(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const bool holds,
                         ApplyCompare(runtime, kOp, args.positional[0], args.positional[1]));
  return Value::Bool(holds);
}

Result Remainder(Runtime& runtime, const Value& value, const Value& divisor, int64_t wanted) {
  VALLM_ASSIGN_OR_RETURN(const Value rest, ApplyBinary(runtime, BinaryOp::kMod, value, divisor));
  return Value::Bool(Equals(rest, Value::Int(wanted)));
}

Result IsOdd(Runtime& runtime, CallArgs& args) {
  return Remainder(runtime, args.positional[0], Value::Int(2), 1);
}
Result IsEven(Runtime& runtime, CallArgs& args) {
  return Remainder(runtime, args.positional[0], Value::Int(2), 0);
}
Result IsDivisible(Runtime& runtime, CallArgs& args) {
  return Remainder(runtime, args.positional[0], args.positional[1], 0);
}

Result IsSame(Runtime& runtime, CallArgs& args) {
  return Value::Bool(args.positional[0].SameAs(args.positional[1]));
}

// Python looks the value up in a dict of names, so it must be hashable.
absl::Status CheckHashable(const Value& value) {
  if (IsHashable(value)) return absl::OkStatus();
  return TemplateError("unhashable type: '", ToAbsl(value.TypeName()), "'");
}

Result IsFilter(Runtime& runtime, CallArgs& args) {
  const Value& name = args.positional[0];
  VALLM_RETURN_IF_ERROR(CheckHashable(name));
  return Value::Bool(name.is_str() && FindFilter(name.text()) != nullptr);
}

Result IsTest(Runtime& runtime, CallArgs& args) {
  const Value& name = args.positional[0];
  VALLM_RETURN_IF_ERROR(CheckHashable(name));
  return Value::Bool(name.is_str() && FindTest(name.text()) != nullptr);
}

std::vector<Builtin> Tests() {
  const std::vector<std::string_view> one = {"value"};
  const std::vector<std::string_view> two = {"value", "other"};
  std::vector<Builtin> tests = {
      {"defined", &Is<IsDefined>, 1, one},
      {"undefined", &Is<IsUndefined>, 1, one},
      {"none", &Is<IsNone>, 1, one},
      {"boolean", &Is<IsBoolean>, 1, one},
      {"true", &Is<IsTrue>, 1, one},
      {"false", &Is<IsFalse>, 1, one},
      {"integer", &Is<IsInteger>, 1, one},
      {"float", &Is<IsFloat>, 1, one},
      {"number", &Is<IsNumber>, 1, one},
      {"string", &Is<IsString>, 1, one},
      {"mapping", &Is<IsMapping>, 1, one},
      {"sequence", &Is<IsSequence>, 1, one},
      {"iterable", &Is<IsIterable>, 1, one},
      {"callable", &Is<IsCallable>, 1, one},
      {"escaped", &Is<IsEscaped>, 1, one},
      {"lower", &IsCase<IsLower, IsUpper>, 1, one},
      {"upper", &IsCase<IsUpper, IsLower>, 1, one},
      {"odd", &IsOdd, 1, one},
      {"even", &IsEven, 1, one},
      {"divisibleby", &IsDivisible, 2, {"value", "num"}},
      {"sameas", &IsSame, 2, two},
      {"filter", &IsFilter, 1, one},
      {"test", &IsTest, 1, one},
      {"in", &Compare<CompareOp::kIn>, 2, {"value", "seq"}},
  };
  const auto add = [&tests, &two](std::initializer_list<const char*> names, auto function) {
    for (const char* name : names) tests.push_back({name, function, 2, two});
  };
  add({"==", "eq", "equalto"}, &Compare<CompareOp::kEq>);
  add({"!=", "ne"}, &Compare<CompareOp::kNe>);
  add({">", "gt", "greaterthan"}, &Compare<CompareOp::kGt>);
  add({">=", "ge"}, &Compare<CompareOp::kGe>);
  add({"<", "lt", "lessthan"}, &Compare<CompareOp::kLt>);
  add({"<=", "le"}, &Compare<CompareOp::kLe>);
  return tests;
}

}  // namespace

const Builtin* FindTest(std::string_view name) {
  static const auto& table = *new BuiltinTable(Tests());
  return table.Find(name);
}

}  // namespace vallm::tokenizer
