#include "gateway/request_id.h"

#include <algorithm>

#include "gateway/random_id.h"

namespace vallm::gateway {
namespace {

constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdDigits = 16;
// "00-", the trace, "-", the span, "-", two digits of flags.
constexpr size_t kLength = 3 + kTraceIdDigits + 1 + kSpanIdDigits + 1 + 2;
// More than this the specification lets nobody count on.
constexpr size_t kMaxStateBytes = 512;

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool IsId(std::string_view text) {
  return IsLowerHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

// Later versions may have more behind the flags; "ff" is none.
bool IsTraceparent(std::string_view text) {
  if (text.size() < kLength || (text.size() > kLength && text[kLength] != '-')) return false;
  const std::string_view version = text.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff") return false;
  if (version == "00" && text.size() != kLength) return false;
  return text[2] == '-' && IsId(text.substr(3, kTraceIdDigits)) && text[35] == '-' &&
         IsId(text.substr(36, kSpanIdDigits)) && text[52] == '-' && IsLowerHex(text.substr(53, 2));
}

std::string NewHexId(size_t digits) {
  for (;;) {
    std::string id = NewId("").substr(0, digits);
    if (IsId(id)) return id;
  }
}

}  // namespace

TraceContext ContinueTrace(const HttpHeaders& headers) {
  const std::string* parent = FindHeader(headers, "traceparent");
  if (parent == nullptr || !IsTraceparent(*parent)) {
    // Not sampled: nobody has said that he records it.
    return {"00-" + NewHexId(kTraceIdDigits) + "-" + NewHexId(kSpanIdDigits) + "-00", ""};
  }
  TraceContext trace;
  // In our version; of the flags only "sampled" and "random" are known to it.
  const int flags = std::stoi(parent->substr(53, 2), nullptr, 16) & 3;
  trace.traceparent = "00-" + parent->substr(3, kTraceIdDigits) + "-" + NewHexId(kSpanIdDigits) +
                      "-0" + std::to_string(flags);
  for (const auto& [name, value] : headers) {
    const bool is_state = name.size() == 10 && FindHeader({{name, ""}}, "tracestate") != nullptr;
    if (!is_state || value.empty()) continue;
    trace.tracestate += (trace.tracestate.empty() ? "" : ",") + value;
  }
  const bool printable = std::all_of(trace.tracestate.begin(), trace.tracestate.end(),
                                     [](char c) { return c >= ' ' && c <= '~'; });
  if (trace.tracestate.size() > kMaxStateBytes || !printable) trace.tracestate.clear();
  return trace;
}

}  // namespace vallm::gateway
