// Methods of list, tuple and dict, and the table of all methods.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <utility>

#include "common/status_macros.h"
#include "tokenizer_service/template/iterators.h"
#include "tokenizer_service/template/methods.h"
#include "tokenizer_service/template/number_format.h"
#include "tokenizer_service/template/operators.h"
#include "tokenizer_service/template/repr.h"

namespace vallm::tokenizer {
namespace {

using Kind = Value::Kind;
using Result = absl::StatusOr<Value>;

Result Index(Runtime& runtime, CallArgs& args) {
  const auto& items = args.positional[0].items();
  const int64_t size = static_cast<int64_t>(items.size());
  VALLM_ASSIGN_OR_RETURN(int64_t begin, IntArg(args, 2, 0));
  VALLM_ASSIGN_OR_RETURN(int64_t end, IntArg(args, 3, size));
  if (begin < 0) begin = std::max<int64_t>(0, begin + size);
  if (end < 0) end += size;
  VALLM_RETURN_IF_ERROR(runtime.Charge(size));
  for (int64_t i = begin; i < std::min(end, size); ++i) {
    if (Equals(items[static_cast<size_t>(i)], args.positional[1])) return Value::Int(i);
  }
  return TemplateError(Repr(args.positional[1]), " is not in list");
}

Result Count(Runtime& runtime, CallArgs& args) {
  const auto& items = args.positional[0].items();
  VALLM_RETURN_IF_ERROR(runtime.Charge(args.positional[0].Weight()));
  return Value::Int(std::count_if(items.begin(), items.end(), [&args](const Value& item) {
    return Equals(item, args.positional[1]);
  }));
}

Result Copy(Runtime& runtime, CallArgs& args) { return args.positional[0]; }

Result Get(Runtime& runtime, CallArgs& args) {
  const Value& key = args.positional[1];
  VALLM_RETURN_IF_ERROR(runtime.CheckKey(key));
  if (const Value* found = args.positional[0].dict().Find(key)) return *found;
  return args.positional[2].is_missing() ? Value() : args.positional[2];
}

template <DictPart kPart>
Result View(Runtime& runtime, CallArgs& args) {
  return Value::FromObject(new DictViewObject(args.positional[0], kPart));
}

Result FromKeys(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value keys, runtime.Iterate(args.positional[1]));
  auto dict = std::make_unique<DictCell>();
  for (const Value& key : keys.items()) {
    VALLM_RETURN_IF_ERROR(runtime.CheckKey(key));
    dict->Set(key, args.positional[2].is_missing() ? Value() : args.positional[2]);
  }
  return runtime.MakeDict(std::move(dict));
}

std::vector<Builtin> AllStrMethods() {
  std::vector<Builtin> all = StrMethods();
  for (auto* group : {&StrSearchMethods, &StrTranslateMethods}) {
    std::vector<Builtin> more = (*group)();
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }
  return all;
}

Result IsInteger(Runtime& runtime, CallArgs& args) {
  const double real = args.positional[0].float_value();
  return Value::Bool(std::isfinite(real) && real == std::trunc(real));
}

// The digits of |args[0]| in base 16, which go over to bits at once.
absl::StatusOr<std::string> HexDigits(Runtime& runtime, const CallArgs& args) {
  BigInt value = AsBigInt(args.positional[0]);
  if (value.negative()) value = value.Negated();
  VALLM_RETURN_IF_ERROR(runtime.Charge(FormatIntegerCost(value)));
  FormatSpec hex;
  hex.type = 'x';
  return FormatInteger(value, hex);
}

unsigned DigitValue(char digit) {
  return static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

Result BitLength(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string digits, HexDigits(runtime, args));
  return Value::Int(static_cast<int64_t>(digits.size() - 1) * 4 +
                    std::bit_width(DigitValue(digits[0])));
}

Result BitCount(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const std::string digits, HexDigits(runtime, args));
  int64_t bits = 0;
  for (const char digit : digits) bits += std::popcount(DigitValue(digit));
  return Value::Int(bits);
}

// int.conjugate and float.conjugate: the number itself, and no bool.
Result Conjugate(Runtime& runtime, CallArgs& args) {
  return args.positional[0].is_bool() ? Truncate(args.positional[0]) : args.positional[0];
}

Result RangeCount(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(args.positional[0], runtime.Iterate(args.positional[0]));
  return Count(runtime, args);
}

Result RangeIndex(Runtime& runtime, CallArgs& args) {
  VALLM_ASSIGN_OR_RETURN(const Value items, runtime.Iterate(args.positional[0]));
  for (size_t i = 0; i < items.items().size(); ++i) {
    if (Equals(items.items()[i], args.positional[1])) return Value::Int(static_cast<int64_t>(i));
  }
  return TemplateError(Repr(args.positional[1]), " is not in range");
}

}  // namespace

std::vector<Builtin> SequenceMethods() {
  return {{"index", &Index, 2, {"self", "value", "start", "stop"}},
          {"count", &Count, 2, {"self", "value"}}};
}

std::vector<Builtin> DictMethods() {
  return {{"get", &Get, 2, {"self", "key", "default"}},
          {"keys", &View<DictPart::kKeys>, 1, {"self"}},
          {"values", &View<DictPart::kValues>, 1, {"self"}},
          {"items", &View<DictPart::kItems>, 1, {"self"}},
          {"copy", &Copy, 1, {"self"}},
          {"fromkeys", &FromKeys, 2, {"self", "iterable", "value"}}};
}

const Builtin* FindMethod(const Value& object, std::string_view name) {
  static const auto& str = *new BuiltinTable(AllStrMethods());
  static const auto& sequence = *new BuiltinTable(SequenceMethods());
  static const auto& list = *new BuiltinTable({{"copy", &Copy, 1, {"self"}}});
  static const auto& dict = *new BuiltinTable(DictMethods());
  static const auto& real = *new BuiltinTable(
      {{"is_integer", &IsInteger, 1, {"self"}}, {"conjugate", &Conjugate, 1, {"self"}}});
  static const auto& integer = *new BuiltinTable({{"bit_length", &BitLength, 1, {"self"}},
                                                  {"bit_count", &BitCount, 1, {"self"}},
                                                  {"conjugate", &Conjugate, 1, {"self"}}});
  static const auto& range = *new BuiltinTable(
      {{"count", &RangeCount, 2, {"self", "value"}}, {"index", &RangeIndex, 2, {"self", "value"}}});
  switch (object.kind()) {
    case Kind::kStr:
      return str.Find(name);
    case Kind::kList:
      if (const Builtin* found = list.Find(name)) return found;
      return sequence.Find(name);
    case Kind::kTuple:
      return sequence.Find(name);
    case Kind::kDict:
      return dict.Find(name);
    case Kind::kFloat:
      return real.Find(name);
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
      return integer.Find(name);
    case Kind::kRange:
      return range.Find(name);
    default:
      return nullptr;
  }
}

bool IsUnsafeMethod(const Value& object, std::string_view name) {
  static constexpr std::array<std::string_view, 8> kList = {"append", "clear", "pop",    "reverse",
                                                            "insert", "sort",  "extend", "remove"};
  static constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault",
                                                            "update"};
  const auto has = [name](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return (object.kind() == Kind::kList && has(kList)) || (object.is_dict() && has(kDict));
}

}  // namespace vallm::tokenizer
