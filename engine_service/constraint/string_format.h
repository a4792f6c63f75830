// The values of JSON schema's "format" that can be held to exactly or by a sound subset, as regular
// expressions for the whole string.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_STRING_FORMAT_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_STRING_FORMAT_H_

#include <optional>
#include <string>
#include <string_view>

namespace vallm::engine {

// The expression of `format`, or nullopt for a format that is not known. Everything it matches is
// valid: dates exist (leap years included), an ipv6 has at most eight groups.
std::optional<std::string> RegexOfFormat(std::string_view format);

// The known formats, for messages: "date, date-time, ...".
std::string KnownFormats();

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_STRING_FORMAT_H_
