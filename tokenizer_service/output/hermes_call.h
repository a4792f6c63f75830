// One hermes tool call, {"name": "...", "arguments": ...}, read byte by byte.
//
// Strict JSON until the call is committed: the name is known and the arguments have begun with
// anything but a string. From then on the call counts whatever follows, and the arguments are
// passed on as they come; only brackets and strings are followed, to see where they end. A call
// whose arguments stand before the name or are a string is decided when it is complete.
// Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_CALL_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_CALL_H_

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer_service/output/json_scanner.h"

namespace vallm::tokenizer {

class HermesCall {
 public:
  void Push(char c);

  // No call can come of it any more. Never after committed().
  bool malformed() const { return state_ == State::kMalformed; }
  bool committed() const { return committed_; }
  // The closing bracket of the call was read.
  bool complete() const { return state_ == State::kComplete; }
  // Complete, with a name and arguments: a call even if it was not committed.
  bool valid() const { return complete() && name_ && arguments_; }
  // Whether the next byte stands inside a string.
  bool in_string() const;

  // REQUIRES: committed() or valid().
  const std::string& name() const { return *name_; }
  // The arguments, without what was taken before: JSON text as it was written, but a string that
  // holds a JSON object is unwrapped. REQUIRES: committed() or valid().
  std::string TakeArguments();

 private:
  enum class State {
    kBegin,     // '{' is to come
    kFirstKey,  // a key or '}'
    kKey,       // a key
    kInKey,
    kColon,
    kValue,  // a value is to come
    kInValue,
    kAfterValue,  // ',' or '}'
    kArguments,   // in committed arguments
    kRest,        // behind committed arguments, before the closing bracket
    kComplete,    // behind the closing bracket
    kMalformed,
  };

  void BeginValue(char c);
  void PushValue(char c);
  void EndValue();
  void PushKey(char c);
  void PushArguments(char c);
  void PushRest(char c);
  // Follows brackets and strings where nothing else is checked.
  void Track(char c);

  State state_ = State::kBegin;
  bool committed_ = false;
  JsonScanner scanner_;
  std::string key_;    // the key literal, then the key
  std::string value_;  // the text of the value, of a name or of arguments
  std::optional<std::string> name_;
  std::optional<std::string> arguments_;
  // In kArguments and kRest.
  bool scalar_arguments_ = false;  // a number or literal: it ends before ',', '}' or whitespace
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_HERMES_CALL_H_
