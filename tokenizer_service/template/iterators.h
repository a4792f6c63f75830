// Iterables that are not lists: the one-shot iterators filters return, and the views of a dict.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_ITERATORS_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_ITERATORS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/runtime.h"

namespace vallm::tokenizer {

// A Python generator: items come out once. An error that stopped its making is reported by whoever
// takes the items, as Python would run into it then.
class IteratorObject : public Object {
 public:
  IteratorObject(std::vector<Value> items, absl::Status error);
  std::string_view TypeName() const override { return "generator"; }
  bool iterable() const override { return true; }
  absl::StatusOr<Value> Items(Runtime& runtime) override;
  // The next item alone; Missing at the end.
  absl::StatusOr<Value> Next();
  int depth() const override { return depth_; }

 private:
  std::vector<Value> items_;
  size_t next_ = 0;
  absl::Status error_;
  int depth_ = 1;
};

// Wraps `items` (and the error that ended them, if any) as an iterator value.
Value MakeIterator(std::vector<Value> items, absl::Status error = absl::OkStatus());

enum class DictPart { kKeys, kValues, kItems };

// dict.keys(), dict.values() and dict.items().
class DictViewObject : public Object {
 public:
  // `dict` is a dict.
  DictViewObject(Value dict, DictPart part) : dict_(std::move(dict)), part_(part) {}
  std::string_view TypeName() const override;
  void AppendRepr(size_t limit, std::string* out) const override;
  bool iterable() const override { return true; }
  absl::StatusOr<Value> Items(Runtime& runtime) override;
  std::optional<int64_t> Length() const override;
  bool hashable() const override { return part_ == DictPart::kValues; }  // the others are sets
  int depth() const override { return 1 + dict_.Depth(); }
  // Is `item` among the parts? Errors: INVALID_ARGUMENT "unhashable type: 'list'".
  absl::StatusOr<bool> Contains(Runtime& runtime, const Value& item) const;

 private:
  std::vector<Value> Parts() const;

  const Value dict_;
  const DictPart part_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_ITERATORS_H_
