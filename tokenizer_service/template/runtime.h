// What one render shares: its limits, its clock reading, and the making of values under the limits.
//
// Lives on the stack of one render, on one thread. Objects that can be part of a cycle are
// registered with Adopt and cleared when the render ends.
#ifndef VALLM_TOKENIZER_SERVICE_TEMPLATE_RUNTIME_H_
#define VALLM_TOKENIZER_SERVICE_TEMPLATE_RUNTIME_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tokenizer_service/template/limits.h"
#include "tokenizer_service/template/object.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {

// The error of a template: INVALID_ARGUMENT. Its place is added where it passes the interpreter.
template <typename... Args>
absl::Status TemplateError(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

class Runtime {
 public:
  Runtime(const Limits& limits, absl::Time now, absl::TimeZone time_zone)
      : limits_(limits), now_(now), time_zone_(time_zone) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const Limits& limits() const { return limits_; }
  absl::Time now() const { return now_; }
  absl::TimeZone time_zone() const { return time_zone_; }

  // Counts work. Errors: INVALID_ARGUMENT when max_steps is used up.
  absl::Status Charge(int64_t units) {
    steps_ += units;
    return steps_ > limits_.max_steps ? StepsExceeded() : absl::OkStatus();
  }

  // Each charges for what it makes. Errors: INVALID_ARGUMENT naming the exceeded limit.
  absl::StatusOr<Value> MakeStr(std::string text, bool markup = false);
  absl::StatusOr<Value> MakeList(std::vector<Value> items);
  absl::StatusOr<Value> MakeTuple(std::vector<Value> items);
  absl::StatusOr<Value> MakeDict(std::unique_ptr<DictCell> dict);
  // For results whose size is known before they are made.
  absl::Status CheckStringSize(double bytes) const;
  absl::Status CheckElements(double count) const;
  // The lines of `text` (str.splitlines). Errors: INVALID_ARGUMENT for too many.
  absl::StatusOr<std::vector<std::string_view>> LinesOf(std::string_view text, bool keep_ends);

  // To be asked before `key` is looked up in a dict or made a key: hashing costs what it walks.
  // Errors: INVALID_ARGUMENT "unhashable type: 'list'".
  absl::Status CheckKey(const Value& key);

  // Counts filters that call filters (map('map', ...)), which no syntax bounds. Leave undoes Enter.
  absl::Status EnterFilter();
  void LeaveFilter() { --filter_depth_; }

  // str(value) and repr(value).
  absl::StatusOr<std::string> Str(const Value& value);
  absl::StatusOr<std::string> ReprOf(const Value& value);

  // Calls `callee`. Errors: INVALID_ARGUMENT if it is not callable, or whatever the call returns.
  absl::StatusOr<Value> Call(const Value& callee, CallArgs args);

  // All items of an iterable as one list or tuple value; a list or tuple is returned as it is.
  // Errors: INVALID_ARGUMENT "'int' object is not iterable".
  absl::StatusOr<Value> Iterate(const Value& value);

  // Takes a share in `object` until the render ends, and clears it then.
  void Adopt(const Value& object) { adopted_.push_back(object); }

 private:
  absl::Status StepsExceeded() const;
  absl::Status CheckShape(const Value& container);

  const Limits limits_;
  const absl::Time now_;
  const absl::TimeZone time_zone_;
  int64_t steps_ = 0;
  int filter_depth_ = 0;
  std::vector<Value> adopted_;
};

// The error of using an undefined value. REQUIRES: value.is_undefined().
absl::Status UndefinedError(const Value& value);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_TEMPLATE_RUNTIME_H_
