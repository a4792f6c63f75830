// Values with behaviour: everything callable, and everything with state.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_OBJECT_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_OBJECT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

class Runtime;

struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

// Confined to one render. Base behaviour: no members, not callable, not iterable, always true.
class Object : public HeapCell {
 public:
  // Python's name of the type. Must view static storage.
  virtual std::string_view TypeName() const = 0;
  // repr(). Stops early, at any point, once `out` is longer than `limit` bytes.
  virtual void AppendRepr(size_t limit, std::string* out) const;
  virtual bool callable() const { return false; }
  // REQUIRES: callable().
  virtual absl::StatusOr<Value> Call(Runtime& runtime, CallArgs args);
  // Missing if there is no such member.
  virtual absl::StatusOr<Value> GetAttr(Runtime& runtime, std::string_view name);
  // Null: not iterable. Otherwise the items from here on; a one-shot iterator is then exhausted.
  virtual bool iterable() const { return false; }
  virtual absl::StatusOr<Value> Items(Runtime& runtime);
  // len(); nullopt: has none.
  virtual std::optional<int64_t> Length() const { return std::nullopt; }
  // hash(): by identity, where there is one.
  virtual bool hashable() const { return true; }
  // Levels of containers held, counted when the object was made.
  virtual int depth() const { return 1; }
  // Drops every reference to other values, so that cycles end.
  virtual void Clear() {}
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_OBJECT_H_
