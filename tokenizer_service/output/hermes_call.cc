#include "tokenizer_service/output/hermes_call.h"

#include <utility>

namespace vallm::tokenizer {

bool HermesCall::in_string() const {
  switch (state_) {
    case State::kInKey:
    case State::kInValue:
      return scanner_.in_string();
    case State::kArguments:
    case State::kRest:
      return in_string_;
    default:
      return false;
  }
}

void HermesCall::Push(char c) {
  switch (state_) {
    case State::kInKey:
      return PushKey(c);
    case State::kInValue:
      return PushValue(c);
    case State::kArguments:
      return PushArguments(c);
    case State::kRest:
      return PushRest(c);
    case State::kMalformed:
      return;
    default:
      break;
  }
  if (IsJsonSpace(c)) return;
  const bool may_close = state_ == State::kFirstKey || state_ == State::kAfterValue;
  if (state_ == State::kValue) {
    BeginValue(c);
  } else if (state_ == State::kBegin && c == '{') {
    state_ = State::kFirstKey;
  } else if ((state_ == State::kFirstKey || state_ == State::kKey) && c == '"') {
    state_ = State::kInKey;
    key_.clear();
    scanner_ = JsonScanner();
    PushKey(c);
  } else if (state_ == State::kColon && c == ':') {
    state_ = State::kValue;
  } else if (state_ == State::kAfterValue && c == ',') {
    state_ = State::kKey;
  } else if (may_close && c == '}') {
    state_ = State::kComplete;
  } else if (!committed_) {
    state_ = State::kMalformed;
  }
}

void HermesCall::PushKey(char c) {
  key_ += c;
  const JsonScanner::Status status = scanner_.Push(c);
  if (status == JsonScanner::Status::kError) state_ = State::kMalformed;
  if (status != JsonScanner::Status::kDone) return;
  key_ = JsonStringValue(key_);
  state_ = State::kColon;
}

void HermesCall::BeginValue(char c) {
  value_.clear();
  scanner_ = JsonScanner();
  const bool value_begins =
      std::string_view("{[-0123456789tfnNI").find(c) != std::string_view::npos;
  if (key_ == "arguments" && name_ && value_begins) {
    committed_ = true;
    state_ = State::kArguments;
    arguments_.emplace();
    scalar_arguments_ = c != '{' && c != '[';
    PushArguments(c);
    return;
  }
  state_ = State::kInValue;
  PushValue(c);
}

void HermesCall::PushValue(char c) {
  const JsonScanner::Status status = scanner_.Push(c);
  if (status == JsonScanner::Status::kError) {
    state_ = State::kMalformed;
    return;
  }
  if (status != JsonScanner::Status::kDoneBefore) value_ += c;
  if (status == JsonScanner::Status::kMore) return;
  state_ = State::kAfterValue;
  EndValue();
  if (status == JsonScanner::Status::kDoneBefore) Push(c);
}

void HermesCall::EndValue() {
  const bool is_string = value_.front() == '"';
  if (key_ == "name") {
    if (is_string) {
      name_ = JsonStringValue(value_);
    } else {
      state_ = State::kMalformed;
    }
  } else if (key_ == "arguments") {
    std::string inner = is_string ? JsonStringValue(value_) : std::string();
    arguments_ = IsJsonObject(inner) ? std::move(inner) : std::move(value_);
  }
}

void HermesCall::PushArguments(char c) {
  if (scalar_arguments_ && (c == ',' || c == '}' || IsJsonSpace(c))) {
    state_ = State::kRest;
    return PushRest(c);
  }
  *arguments_ += c;
  if (scalar_arguments_) return;
  Track(c);
  if (depth_ == 0) state_ = State::kRest;
}

void HermesCall::PushRest(char c) {
  if (c == '}' && depth_ == 0 && !in_string_) {
    state_ = State::kComplete;
  } else {
    Track(c);
  }
}

void HermesCall::Track(char c) {
  if (in_string_) {
    if (!escaped_ && c == '"') in_string_ = false;
    escaped_ = !escaped_ && c == '\\';
  } else if (c == '"') {
    in_string_ = true;
  } else if (c == '{' || c == '[') {
    ++depth_;
  } else if ((c == '}' || c == ']') && depth_ > 0) {
    --depth_;
  }
}

std::string HermesCall::TakeArguments() { return std::exchange(*arguments_, std::string()); }

}  // namespace vallm::tokenizer
