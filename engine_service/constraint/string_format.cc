#include "engine_service/constraint/string_format.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

// Years 0001 to 9999; 29 February in leap years only.
std::string Date() {
  const std::string year = "(?:\\d{3}[1-9]|\\d{2}[1-9]0|\\d[1-9]00|[1-9]000)";
  const std::string leap =
      "(?:\\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
  return absl::StrCat("(?:", year,
                      "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])"
                      "|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|",
                      leap, "-02-29)");
}

std::string Time() {
  return "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]"
         "\\d)";
}

std::string Ipv4() {
  const std::string byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  return absl::StrCat(byte, "(?:\\.", byte, "){3}");
}

std::string Ipv6() {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string ways = absl::StrCat("(?:", group, ":){7}", group, "|::");
  // `before` groups, "::", and so many groups that at least one is left out.
  for (int before = 0; before <= 6; ++before) {
    const std::string head = before == 0 ? ":" : absl::StrCat("(?:", group, ":){", before, "}");
    absl::StrAppend(&ways, "|", head, ":", group, "(?::", group, "){0,", 6 - before, "}");
  }
  for (int before = 1; before <= 7; ++before) {
    absl::StrAppend(&ways, "|(?:", group, ":){", before, "}:");
  }
  return absl::StrCat("(?:", ways, ")");
}

std::string Hostname() {
  const std::string label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
  return absl::StrCat(label, "(?:\\.", label, "){0,3}");
}

std::string Email() {
  const std::string atom = "[a-zA-Z0-9_%+-]{1,30}";
  return absl::StrCat(atom, "(?:\\.", atom,
                      "){0,3}@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?",
                      "\\.){1,4}[a-zA-Z]{2,24}");
}

std::string Duration() {
  const std::string time = "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S)";
  const std::string day = "\\d+D";
  const std::string month = absl::StrCat("\\d+M(?:", day, ")?");
  const std::string date =
      absl::StrCat("(?:\\d+Y(?:", month, ")?|", month, "|", day, ")(?:", time, ")?");
  return absl::StrCat("P(?:", date, "|", time, "|\\d+W)");
}

std::string Uri() {
  return absl::StrCat("[a-zA-Z][a-zA-Z0-9+.-]{0,20}://(?:", Hostname(), ")(?::\\d{1,5})?",
                      "(?:/(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})*)*",
                      "(?:\\?(?:[a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*)?",
                      "(?:#(?:[a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})*)?");
}

const std::map<std::string, std::string, std::less<>>& Formats() {
  static const auto* const formats = new std::map<std::string, std::string, std::less<>>{
      {"date", Date()},
      {"time", Time()},
      {"date-time", absl::StrCat(Date(), "T", Time())},
      {"duration", Duration()},
      {"email", Email()},
      {"hostname", Hostname()},
      {"ipv4", Ipv4()},
      {"ipv6", Ipv6()},
      {"uri", Uri()},
      {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
  };
  return *formats;
}

}  // namespace

std::optional<std::string> RegexOfFormat(std::string_view format) {
  const auto at = Formats().find(format);
  if (at == Formats().end()) return std::nullopt;
  return at->second;
}

std::string KnownFormats() {
  std::string list;
  for (const auto& [name, regex] : Formats())
    absl::StrAppend(&list, list.empty() ? "" : ", ", name);
  return list;
}

}  // namespace vallm::engine
