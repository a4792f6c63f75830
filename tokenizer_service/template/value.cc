#include "tokenizer_service/template/value.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

struct BigCell : public HeapCell {
  explicit BigCell(BigInt v) : value(std::move(v)) {}
  const BigInt value;
};

int MaxDepth(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.Depth());
  return depth;
}

int64_t TotalWeight(const std::vector<Value>& items) {
  int64_t weight = 1;
  for (const Value& item : items) weight = std::min(Value::kMaxWeight, weight + item.Weight());
  return weight;
}

}  // namespace

Value::Value(Kind kind, HeapCell* cell) : kind_(kind), cell_(true) {
  word_.cell = cell;
  Retain();
}

Value::Value(const Value& other) : kind_(other.kind_), cell_(other.cell_), word_(other.word_) {
  Retain();
}

Value::Value(Value&& other) noexcept : kind_(other.kind_), cell_(other.cell_), word_(other.word_) {
  other.kind_ = Kind::kNone;
  other.cell_ = false;
}

Value& Value::operator=(const Value& other) {
  if (this != &other) *this = Value(other);
  return *this;
}

Value& Value::operator=(Value&& other) noexcept {
  std::swap(kind_, other.kind_);
  std::swap(cell_, other.cell_);
  std::swap(word_, other.word_);
  return *this;
}

Value::~Value() { Release(); }

void Value::Retain() const {
  if (cell_) word_.cell->refs_.fetch_add(1, std::memory_order_relaxed);
}

void Value::Release() {
  if (cell_ && word_.cell->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete word_.cell;
}

Value Value::Missing() { return Value(Kind::kMissing); }

Value Value::Bool(bool value) {
  Value v(Kind::kBool);
  v.word_.flag = value;
  return v;
}

Value Value::Int(int64_t value) {
  Value v(Kind::kInt);
  v.word_.integer = value;
  return v;
}

Value Value::Int(const BigInt& value) {
  if (const auto small = value.ToInt64()) return Int(*small);
  return Value(Kind::kBigInt, new BigCell(value));
}

Value Value::Float(double value) {
  Value v(Kind::kFloat);
  v.word_.real = value;
  return v;
}

Value Value::Str(std::string text, bool markup) {
  return Value(Kind::kStr, new StrCell(std::move(text), markup));
}
Value Value::List(std::vector<Value> items) {
  return Value(Kind::kList, new ListCell(std::move(items)));
}
Value Value::Tuple(std::vector<Value> items) {
  return Value(Kind::kTuple, new ListCell(std::move(items)));
}

Value Value::Group(Value name, Value members) {
  std::vector<Value> pair;
  pair.push_back(std::move(name));
  pair.push_back(std::move(members));
  return Value(Kind::kTuple, new ListCell(std::move(pair), /*group=*/true));
}

Value Value::Range(int64_t start, int64_t stop, int64_t step) {
  auto* cell = new RangeCell;
  cell->start = start;
  cell->stop = stop;
  cell->step = step;
  const __int128 span =
      step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop;
  const __int128 stride = step > 0 ? step : -static_cast<__int128>(step);
  if (span > 0) cell->length = static_cast<int64_t>((span + stride - 1) / stride);
  return Value(Kind::kRange, cell);
}

Value Value::Dict(DictCell* cell) { return Value(Kind::kDict, cell); }
Value Value::FromObject(Object* object) { return Value(Kind::kObject, object); }

Value Value::UndefinedHint(std::string message) {
  auto* cell = new UndefinedCell;
  cell->hint = std::move(message);
  return Value(Kind::kUndefined, cell);
}

Value Value::UndefinedName(const Value& name) {
  auto* cell = new UndefinedCell;
  cell->name = name;
  return Value(Kind::kUndefined, cell);
}

Value Value::UndefinedMember(const Value& object, const Value& key) {
  auto* cell = new UndefinedCell;
  cell->type = object.TypeName();
  // Only plain keys are kept: an undefined key would make chains without end.
  const bool plain = key.is_str() || key.is_number() || key.is_none();
  cell->name = plain ? key : Value::Str(std::string(key.TypeName()));
  return Value(Kind::kUndefined, cell);
}

bool Value::is_group() const {
  return kind_ == Kind::kTuple && static_cast<const ListCell*>(word_.cell)->group;
}
bool Value::is_integral() const {
  return kind_ == Kind::kBool || kind_ == Kind::kInt || kind_ == Kind::kBigInt;
}
bool Value::is_number() const { return is_integral() || kind_ == Kind::kFloat; }

const BigInt& Value::big_int() const { return static_cast<const BigCell*>(word_.cell)->value; }
const StrCell& Value::str() const { return *static_cast<const StrCell*>(word_.cell); }
std::string_view Value::text() const { return str().text(); }
const std::vector<Value>& Value::items() const {
  return static_cast<const ListCell*>(word_.cell)->items;
}
const DictCell& Value::dict() const { return *static_cast<const DictCell*>(word_.cell); }
const RangeCell& Value::range() const { return *static_cast<const RangeCell*>(word_.cell); }
const UndefinedCell& Value::undefined() const {
  return *static_cast<const UndefinedCell*>(word_.cell);
}
Object& Value::object() const { return *static_cast<Object*>(word_.cell); }

bool Value::SameAs(const Value& other) const {
  if (kind_ != other.kind_) return false;
  if (cell_) {
    if (word_.cell == other.word_.cell) return true;
    // Python shares equal short strings and the empty tuple; templates can only have meant that.
    if (kind_ == Kind::kStr) return text() == other.text();
    return kind_ == Kind::kTuple && items().empty() && other.items().empty();
  }
  if (kind_ == Kind::kFloat) return false;
  return Equals(*this, other);
}

bool Value::unique() const {
  return cell_ && word_.cell->refs_.load(std::memory_order_acquire) == 1;
}

bool Value::Truthy() const {
  switch (kind_) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return word_.flag;
    case Kind::kInt:
      return word_.integer != 0;
    case Kind::kBigInt:
      return true;
    case Kind::kFloat:
      return word_.real != 0;
    case Kind::kStr:
      return !text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !items().empty();
    case Kind::kDict:
      return dict().size() != 0;
    case Kind::kRange:
      return range().length != 0;
    case Kind::kObject:
      return object().Length().value_or(1) != 0;
  }
  return false;
}

std::string_view Value::TypeName() const {
  switch (kind_) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kStr:
      return str().markup() ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kObject:
      return object().TypeName();
  }
  return "object";
}

int Value::Depth() const {
  switch (kind_) {
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<const ListCell*>(word_.cell)->depth;
    case Kind::kDict:
      return dict().depth();
    case Kind::kObject:
      return object().depth();
    default:
      return 0;
  }
}

int64_t Value::Weight() const {
  switch (kind_) {
    case Kind::kStr:
      return 1 + static_cast<int64_t>(text().size() / 16);
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<const ListCell*>(word_.cell)->weight;
    case Kind::kDict:
      return dict().weight();
    default:
      return 1;
  }
}

StrCell::StrCell(std::string text, bool markup)
    : text_(std::move(text)), length_(CountCodePoints(text_)), markup_(markup) {}

ListCell::ListCell(std::vector<Value> list, bool is_group)
    : items(std::move(list)),
      depth(1 + MaxDepth(items)),
      weight(TotalWeight(items)),
      group(is_group) {}

std::string UndefinedCell::Message() const {
  if (!hint.empty()) return hint;
  if (type.empty()) return absl::StrCat(Repr(name), " is undefined");
  const std::string owner =
      type == "NoneType" ? std::string("None") : absl::StrCat(ToAbsl(type), " object");
  if (!name.is_str()) return absl::StrCat(owner, " has no element ", Repr(name));
  return absl::StrCat("'", owner, "' has no attribute ", Repr(name));
}

bool IsHashable(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kList:
    case Value::Kind::kDict:
      return false;
    case Value::Kind::kTuple:
      return std::all_of(value.items().begin(), value.items().end(), IsHashable);
    case Value::Kind::kObject:
      return value.object().hashable();
    default:
      return true;
  }
}

size_t HashOf(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kBool:
    case Value::Kind::kInt:
      return std::hash<int64_t>()(value.int_value());
    case Value::Kind::kBigInt:
      return std::hash<double>()(value.big_int().ToDouble());
    case Value::Kind::kFloat: {
      const double real = value.float_value();
      if (real >= -9.2e18 && real <= 9.2e18 && real == std::trunc(real)) {
        return std::hash<int64_t>()(static_cast<int64_t>(real));
      }
      return std::hash<double>()(real);
    }
    case Value::Kind::kStr:
      return std::hash<std::string_view>()(value.text());
    case Value::Kind::kTuple: {
      size_t hash = 17;
      for (const Value& item : value.items()) hash = hash * 1000003 ^ HashOf(item);
      return hash;
    }
    case Value::Kind::kObject:
      return std::hash<const void*>()(&value.object());
    default:
      return static_cast<size_t>(value.kind());
  }
}

}  // namespace vallm::tokenizer
