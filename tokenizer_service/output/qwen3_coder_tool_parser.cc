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

// `tag` so far, of "<tag=NAME>": its name may still come, or be there.
bool MayBeNamedTag(std::string_view held, std::string_view tag) {
  if (held.size() <= tag.size()) return tag.starts_with(held);
  return held.starts_with(tag) && held.find_first_of("\n<", tag.size()) == std::string_view::npos;
}

std::string_view NameOf(std::string_view held, std::string_view tag) {
  return held.substr(tag.size(), held.size() - tag.size() - 1);
}

bool IsNamedTag(std::string_view held, std::string_view tag) {
  return held.starts_with(tag) && held.ends_with('>') && held.size() > tag.size() + 1;
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

void Qwen3CoderToolParser::Append(std::string_view text, std::vector<Event>* events) {
  while (!text.empty()) {
    if (state_ != State::kContent) {
      Step(text.front(), events);
      text.remove_prefix(1);
      continue;
    }
    std::string before;
    const bool found = open_.Find(&text, &before);
    AppendText(Event::Kind::kContent, before, /*index=*/0, events);
    if (!found) continue;
    state_ = State::kOpened;
    region_ = kOpenTag;
  }
}

void Qwen3CoderToolParser::Step(char c, std::vector<Event>* events) {
  switch (state_) {
    case State::kContent:
      return;
    case State::kOpened:
      return StepOpened(c, events);
    case State::kParameters:
    case State::kAfterFunction:
      return StepMarkup(c, events);
    case State::kValue:
      return StepValue(c, events);
  }
}

void Qwen3CoderToolParser::StepOpened(char c, std::vector<Event>* events) {
  if (held_.empty() && IsJsonSpace(c)) {
    region_ += c;
    return;
  }
  held_ += c;
  if (IsNamedTag(held_, kFunction)) {
    const std::string held = std::exchange(held_, std::string());
    return BeginCall(NameOf(held, kFunction), events);
  }
  if (MayBeNamedTag(held_, kFunction)) return;
  // No call; what was held back may begin one.
  AppendText(Event::Kind::kContent, region_, /*index=*/0, events);
  state_ = State::kContent;
  Append(std::exchange(held_, std::string()), events);
}

void Qwen3CoderToolParser::StepMarkup(char c, std::vector<Event>* events) {
  if (c == '<') held_.clear();
  if (c != '<' && held_.empty()) return;  // a line break, or what does not belong here
  held_ += c;
  if (!TakeTag(events)) held_.clear();
}

bool Qwen3CoderToolParser::TakeTag(std::vector<Event>* events) {
  const bool in_function = state_ == State::kParameters;
  const bool names_function = IsNamedTag(held_, kFunction);
  if (in_function && IsNamedTag(held_, kParameter)) {
    const std::string held = std::exchange(held_, std::string());
    BeginValue(NameOf(held, kParameter), events);
  } else if (names_function || held_ == kFunctionEnd || held_ == kCloseTag || held_ == kOpenTag) {
    const std::string held = std::exchange(held_, std::string());
    if (in_function) EndArguments(events);
    if (names_function) {
      BeginCall(NameOf(held, kFunction), events);
    } else if (held == kOpenTag) {
      state_ = State::kOpened;
      region_ = kOpenTag;
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

void Qwen3CoderToolParser::StepValue(char c, std::vector<Event>* events) {
  if (at_value_begin_) {
    at_value_begin_ = false;
    if (c == '\n') {
      line_begins_ = true;
      return;
    }
  }
  if (held_.empty() && c != '\n' && c != '<') return PushValue(c, events);
  held_ += c;
  std::string_view tag = held_;
  const bool line_begins = line_begins_ || tag.starts_with('\n');
  if (tag.starts_with('\n')) tag.remove_prefix(1);
  if (tag == kParameterEnd) {
    held_.clear();
    return EndValue(events);
  }
  if (line_begins && (tag == kParameter || tag == kFunctionEnd || tag == kCloseTag)) {
    held_.erase(0, held_.size() - tag.size());
    EndValue(events);
    TakeTag(events);
    return;
  }
  if (kParameterEnd.starts_with(tag)) return;
  if (line_begins && (kParameter.starts_with(tag) || kFunctionEnd.starts_with(tag) ||
                      kCloseTag.starts_with(tag))) {
    return;
  }
  // No tag: the first byte is the value's, the others are looked at again.
  const std::string held = std::exchange(held_, std::string());
  PushValue(held.front(), events);
  for (const char again : std::string_view(held).substr(1)) StepValue(again, events);
}

void Qwen3CoderToolParser::BeginCall(std::string_view name, std::vector<Event>* events) {
  function_ = name;
  has_parameters_ = false;
  region_.clear();
  state_ = State::kParameters;
  events->push_back({Event::Kind::kToolCallStart, function_, calls_++});
}

void Qwen3CoderToolParser::BeginValue(std::string_view parameter, std::vector<Event>* events) {
  Send(has_parameters_ ? ", " : "{", events);
  has_parameters_ = true;
  Send(JsonStringLiteral(parameter), events);
  Send(": ", events);
  text_ = schemas_.IsText(function_, parameter);
  quoted_ = false;
  at_value_begin_ = true;
  line_begins_ = false;
  value_.clear();
  state_ = State::kValue;
}

void Qwen3CoderToolParser::PushValue(char c, std::vector<Event>* events) {
  line_begins_ = false;
  value_ += c;
  // "null" may still become null.
  if (text_ && (quoted_ || !kNull.starts_with(value_))) SendText(events);
}

void Qwen3CoderToolParser::SendText(std::vector<Event>* events) {
  if (!quoted_) Send("\"", events);
  quoted_ = true;
  Send(EscapeJson(value_), events);
  value_.clear();
}

void Qwen3CoderToolParser::EndValue(std::vector<Event>* events) {
  state_ = State::kParameters;
  const std::string_view trimmed = Trim(value_);
  if (!quoted_ && trimmed == kNull) return Send(kNull, events);
  if (text_) {
    SendText(events);
    return Send("\"", events);
  }
  // Templates print Python's constants.
  if (trimmed == "None") return Send(kNull, events);
  if (trimmed == "True") return Send("true", events);
  if (trimmed == "False") return Send("false", events);
  Send(IsJson(trimmed) ? std::string(trimmed) : JsonStringLiteral(value_), events);
}

void Qwen3CoderToolParser::EndArguments(std::vector<Event>* events) {
  Send(has_parameters_ ? "}" : "{}", events);
}

void Qwen3CoderToolParser::Send(std::string_view arguments, std::vector<Event>* events) {
  AppendText(Event::Kind::kToolArguments, arguments, calls_ - 1, events);
}

void Qwen3CoderToolParser::Flush(std::vector<Event>* events) {
  if (state_ == State::kContent) {
    std::string before;
    open_.Flush(&before);
    AppendText(Event::Kind::kContent, before, /*index=*/0, events);
  } else if (state_ == State::kOpened) {
    AppendText(Event::Kind::kContent, region_ + held_, /*index=*/0, events);
  } else if (state_ == State::kValue && text_) {
    // A string that was cut off: what looked like a tag is its end.
    value_ += held_;
    if (!value_.empty()) SendText(events);
  }
  truncated_ = state_ != State::kContent && state_ != State::kAfterFunction;
  held_.clear();
}

}  // namespace vallm::tokenizer
