// The values of a template: Python's None, bool, int, float, str, list, tuple, dict and range,
// Jinja's Undefined, and objects (namespaces, macros, loops, functions; object.h).
//
// A Value is a cheap handle. Strings and containers are immutable once made, so handles may be
// shared between threads; objects are confined to one render. No cycles can be built from strings
// and containers; those through objects are broken at the end of a render (runtime.h).
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer_service/template/big_int.h"

namespace vallm::tokenizer {

class Object;
class Value;

// What a Value points to when it is more than a word. Counted by Value alone.
class HeapCell {
 public:
  HeapCell() = default;
  HeapCell(const HeapCell&) = delete;
  HeapCell& operator=(const HeapCell&) = delete;
  virtual ~HeapCell() = default;

 private:
  friend class Value;
  std::atomic<int32_t> refs_{0};
};

class StrCell;
class ListCell;
class DictCell;
struct RangeCell;
struct UndefinedCell;

class Value {
 public:
  enum class Kind : uint8_t {
    kMissing,  // no value: an argument that was not given, a variable that was never set
    kUndefined,
    kNone,
    kBool,
    kInt,
    kBigInt,
    kFloat,
    kStr,
    kList,
    kTuple,
    kDict,
    kRange,
    kObject,
  };

  Value() = default;  // None
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  static Value Missing();
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Int(const BigInt& value);  // an ordinary kInt where it fits
  static Value Float(double value);
  // `text` must be valid UTF-8. `markup`: already escaped for HTML (the filters safe and escape).
  static Value Str(std::string text, bool markup = false);
  static Value List(std::vector<Value> items);
  static Value Tuple(std::vector<Value> items);
  // A row of groupby: the tuple (name, members), which also has attributes of these names.
  static Value Group(Value name, Value members);
  static Value Range(int64_t start, int64_t stop, int64_t step);  // REQUIRES: step != 0
  // Takes ownership of a new cell.
  static Value Dict(DictCell* cell);
  static Value FromObject(Object* object);
  // Undefined with the given message.
  static Value UndefinedHint(std::string message);
  // Undefined because no variable is called `name`.
  static Value UndefinedName(const Value& name);
  // Undefined because `object` has no member `key`.
  static Value UndefinedMember(const Value& object, const Value& key);

  Kind kind() const { return kind_; }
  bool is_missing() const { return kind_ == Kind::kMissing; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_str() const { return kind_ == Kind::kStr; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_list_or_tuple() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_group() const;     // made by Group
  bool is_integral() const;  // bool, int
  bool is_number() const;    // bool, int, float

  // Each REQUIRES the kind it is named for.
  bool bool_value() const { return word_.flag; }
  int64_t int_value() const { return kind_ == Kind::kBool ? word_.flag : word_.integer; }
  double float_value() const { return word_.real; }
  const BigInt& big_int() const;
  const StrCell& str() const;
  std::string_view text() const;            // kStr
  const std::vector<Value>& items() const;  // kList, kTuple
  const DictCell& dict() const;
  const RangeCell& range() const;
  const UndefinedCell& undefined() const;
  Object& object() const;
  // The object if this is one of type T, else null.
  template <typename T>
  T* ObjectAs() const {
    return kind_ == Kind::kObject ? dynamic_cast<T*>(word_.cell) : nullptr;
  }
  // Same object in memory (or equal word): Python's `is`.
  bool SameAs(const Value& other) const;
  // True when no other Value refers to the cell.
  bool unique() const;

  bool Truthy() const;
  // Python's name of the type: "str", "NoneType", ...
  std::string_view TypeName() const;
  // Levels of containers in this value; 0 for scalars.
  int Depth() const;
  // What walking this value costs: one per item at any level, counted as often as it is reached,
  // and one per 16 bytes of text. Saturates at kMaxWeight.
  int64_t Weight() const;
  static constexpr int64_t kMaxWeight = int64_t{1} << 60;

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Value(Kind kind, HeapCell* cell);
  bool counted() const { return cell_; }
  void Retain() const;
  void Release();

  Kind kind_ = Kind::kNone;
  bool cell_ = false;
  union {
    bool flag;
    int64_t integer;
    double real;
    HeapCell* cell;
  } word_ = {.integer = 0};
};

class StrCell : public HeapCell {
 public:
  StrCell(std::string text, bool markup);
  const std::string& text() const { return text_; }
  int64_t length() const { return length_; }  // code points
  bool ascii() const { return length_ == static_cast<int64_t>(text_.size()); }
  bool markup() const { return markup_; }

 private:
  const std::string text_;
  const int64_t length_;
  const bool markup_;
};

class ListCell : public HeapCell {
 public:
  explicit ListCell(std::vector<Value> items, bool group = false);
  const std::vector<Value> items;
  const int depth;
  const int64_t weight;
  const bool group;
};

struct RangeCell : public HeapCell {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 1;
  int64_t length = 0;
};

struct UndefinedCell : public HeapCell {
  // The text of the error that using the value gives.
  std::string Message() const;

  std::string hint;       // the whole message, if not empty
  Value name;             // the missing variable or member
  std::string_view type;  // Python type of the object without that member; empty: a variable
};

// A dict in insertion order. Filled by its maker, then handed to a Value and never changed.
class DictCell : public HeapCell {
 public:
  using Entry = std::pair<Value, Value>;

  // Replaces the value of an equal key (which keeps its place). REQUIRES: IsHashable(key).
  void Set(const Value& key, Value value);
  void Set(std::string_view key, Value value);
  // Null if absent. An unhashable key is simply absent.
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  int depth() const { return depth_; }
  int64_t weight() const { return weight_; }

 private:
  template <typename Matches>
  const Entry* Probe(size_t hash, const Matches& matches) const;
  void Append(size_t hash, const Value& key, Value value);
  void Rebuild();

  std::vector<Entry> entries_;
  std::vector<size_t> hashes_;
  std::vector<uint32_t> table_;  // open addressing, index + 1; empty while there are few entries
  int depth_ = 1;
  int64_t weight_ = 1;
};

// False for lists, dicts and the sets of their keys and items, and for tuples that hold them.
bool IsHashable(const Value& value);
// Equal values have equal hashes (1, 1.0 and True are equal). REQUIRES: IsHashable(value).
size_t HashOf(const Value& value);
// Python's ==.
bool Equals(const Value& a, const Value& b);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_VALUE_H_
