#include "tokenizer_service/output/qwen3_coder_tool_parser.h"

#include <utility>

#include "tokenizer_service/output/json_scanner.h"

namespace vallm::tokenizer {
namespace {

constexpr std::string_view kOpenTag = "<tool_call>";
constexpr std::string_view kCloseTag = "</tool_call>";
constexpr std::string_view kFunction = "<function=";
constexpr std::string_view kFunctionEnd = "</function>";
constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kParameterEnd = "</parameter>";
constexpr std::string_view kNull = "null";

// Whether `held` may still become "<tag=NAME>". Asked for every byte that joins it, so only the
// last one is new.
bool MayBeNamedTag(std::string_view held, std::string_view tag) {
  if (held.size() <= tag.size()) return tag.starts_with(held);
  return held.starts_with(tag) && held.back() != '\n' && held.back() != '<';
}

std::string_view NameOf(std::string_view held, std::string_view tag) {
  return held.substr(tag.size(), held.size() - tag.size() - 1);
}

bool IsNamedTag(std::string_view held, std::string_view tag) {
  return held.starts_with(tag) && held.ends_with('>') && held.size() > tag.size() + 1;
}

void SendContent(std::string_view text, ToolSink* sink) {
  if (!text.empty()) sink->OnContent(text);
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsJsonSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsJsonSpace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Qwen3CoderToolParser::Qwen3CoderToolParser(ToolSchemas schemas)
    : schemas_(std::move(schemas)), open_(kOpenTag) {}

std::vector<std::string_view> Qwen3CoderToolParser::tags() const { return {kOpenTag, kCloseTag}; }

void Qwen3CoderToolParser::Append(std::string_view text, ToolSink* sink) {
  while (!text.empty()) {
    if (state_ != State::kContent) {
      ++unsent_;
      Step(text.front(), sink);
      text.remove_prefix(1);
      continue;
    }
    std::string before;
    const bool found = open_.Find(&text, &before);
    SendContent(before, sink);
    if (!found) continue;
    BeginRegion();
  }
  // A value that may yet turn out to be something else, or is no text, waits for its end.
  if (state_ == State::kParameters || state_ == State::kAfterFunction) {
    SendCall(held_.size(), sink);
  } else if (state_ == State::kValue) {
    SendCall(held_.size() + value_.size(), sink);
  }
}

void Qwen3CoderToolParser::BeginRegion() {
  state_ = State::kOpened;
  region_ = kOpenTag;
  unsent_ = kOpenTag.size();
}

void Qwen3CoderToolParser::Step(char c, ToolSink* sink) {
  switch (state_) {
    case State::kContent:
      return;
    case State::kOpened:
      return StepOpened(c, sink);
    case State::kParameters:
    case State::kAfterFunction:
      return StepMarkup(c, sink);
    case State::kValue:
      return StepValue(c, sink);
  }
}

void Qwen3CoderToolParser::StepOpened(char c, ToolSink* sink) {
  if (held_.empty() && IsJsonSpace(c)) {
    region_ += c;
    return;
  }
  held_ += c;
  if (IsNamedTag(held_, kFunction)) {
    const std::string held = std::exchange(held_, std::string());
    return BeginCall(NameOf(held, kFunction), sink);
  }
  if (MayBeNamedTag(held_, kFunction)) return;
  // No call; what was held back may begin one.
  SendContent(region_, sink);
  state_ = State::kContent;
  Append(std::exchange(held_, std::string()), sink);
}

void Qwen3CoderToolParser::StepMarkup(char c, ToolSink* sink) {
  if (c == '<') held_.clear();
  if (c != '<' && held_.empty()) return;  // a line break, or what does not belong here
  held_ += c;
  if (!TakeTag(sink)) held_.clear();
}

bool Qwen3CoderToolParser::TakeTag(ToolSink* sink) {
  const bool in_function = state_ == State::kParameters;
  const bool names_function = IsNamedTag(held_, kFunction);
  if (in_function && IsNamedTag(held_, kParameter)) {
    const std::string held = std::exchange(held_, std::string());
    BeginValue(NameOf(held, kParameter));
  } else if (names_function || held_ == kFunctionEnd || held_ == kCloseTag || held_ == kOpenTag) {
    const std::string held = std::exchange(held_, std::string());
    if (in_function) EndArguments();
    SendCall(held == kCloseTag ? 0 : held.size(), sink);
    if (names_function) {
      BeginCall(NameOf(held, kFunction), sink);
    } else if (held == kOpenTag) {
      BeginRegion();
    } else {
      state_ = held == kCloseTag ? State::kContent : State::kAfterFunction;
    }
  } else {
    return MayBeNamedTag(held_, kFunction) || MayBeNamedTag(held_, kParameter) ||
           kFunctionEnd.starts_with(held_) || kCloseTag.starts_with(held_) ||
           kOpenTag.starts_with(held_);
  }
  return true;
}

void Qwen3CoderToolParser::StepValue(char c, ToolSink* sink) {
  if (at_value_begin_) {
    at_value_begin_ = false;
    if (c == '\n') {
      line_begins_ = true;
      return;
    }
  }
  if (held_.empty() && c != '\n' && c != '<') return PushValue(c);
  held_ += c;
  std::string_view tag = held_;
  const bool line_begins = line_begins_ || tag.starts_with('\n');
  if (tag.starts_with('\n')) tag.remove_prefix(1);
  if (tag == kParameterEnd) {
    held_.clear();
    return EndValue();
  }
  if (line_begins && (tag == kParameter || tag == kFunctionEnd || tag == kCloseTag)) {
    held_.erase(0, held_.size() - tag.size());
    EndValue();
    TakeTag(sink);
    return;
  }
  if (kParameterEnd.starts_with(tag)) return;
  if (line_begins && (kParameter.starts_with(tag) || kFunctionEnd.starts_with(tag) ||
                      kCloseTag.starts_with(tag))) {
    return;
  }
  // No tag: the first byte is the value's, the others are looked at again.
  const std::string held = std::exchange(held_, std::string());
  PushValue(held.front());
  for (const char again : std::string_view(held).substr(1)) StepValue(again, sink);
}

void Qwen3CoderToolParser::BeginCall(std::string_view name, ToolSink* sink) {
  function_ = name;
  has_parameters_ = false;
  region_.clear();
  state_ = State::kParameters;
  sink->OnCall(calls_++, function_);
}

void Qwen3CoderToolParser::BeginValue(std::string_view parameter) {
  Send(has_parameters_ ? ", " : "{");
  has_parameters_ = true;
  Send(JsonStringLiteral(parameter));
  Send(": ");
  text_ = schemas_.IsText(function_, parameter);
  quoted_ = false;
  at_value_begin_ = true;
  line_begins_ = false;
  value_.clear();
  state_ = State::kValue;
}

void Qwen3CoderToolParser::PushValue(char c) {
  line_begins_ = false;
  value_ += c;
  // "null" may still become null.
  if (text_ && (quoted_ || !kNull.starts_with(value_))) SendText();
}

void Qwen3CoderToolParser::SendText() {
  if (!quoted_) Send("\"");
  quoted_ = true;
  Send(EscapeJson(value_));
  value_.clear();
}

void Qwen3CoderToolParser::EndValue() {
  state_ = State::kParameters;
  const std::string_view trimmed = Trim(value_);
  if (!quoted_ && trimmed == kNull) return Send(kNull);
  if (text_) {
    SendText();
    return Send("\"");
  }
  // Templates print Python's constants.
  if (trimmed == "None") return Send(kNull);
  if (trimmed == "True") return Send("true");
  if (trimmed == "False") return Send("false");
  Send(IsJson(trimmed) ? std::string(trimmed) : JsonStringLiteral(value_));
}

void Qwen3CoderToolParser::EndArguments() { Send(has_parameters_ ? "}" : "{}"); }

void Qwen3CoderToolParser::Send(std::string_view arguments) { arguments_ += arguments; }

void Qwen3CoderToolParser::SendCall(size_t held, ToolSink* sink) {
  if (!arguments_.empty()) sink->OnArguments(calls_ - 1, arguments_);
  arguments_.clear();
  if (unsent_ > held) sink->OnCallText(calls_ - 1, unsent_ - held);
  unsent_ = held;
}

void Qwen3CoderToolParser::Flush(ToolSink* sink) {
  if (state_ == State::kContent) {
    std::string before;
    open_.Flush(&before);
    SendContent(before, sink);
  } else if (state_ == State::kOpened) {
    SendContent(region_ + held_, sink);
  } else if (state_ == State::kValue && text_) {
    // A string that was cut off: what looked like a tag is its end.
    value_ += held_;
    if (!value_.empty()) SendText();
  }
  if (state_ != State::kContent && state_ != State::kOpened) SendCall(/*held=*/0, sink);
  truncated_ = state_ != State::kContent && state_ != State::kAfterFunction;
  held_.clear();
}

}  // namespace vallm::tokenizer
