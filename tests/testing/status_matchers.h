// GoogleTest matchers for absl::Status and absl::StatusOr: IsOk() and StatusIs(code, text).
#ifndef VALLM_TESTS_TESTING_STATUS_MATCHERS_H_
#define VALLM_TESTS_TESTING_STATUS_MATCHERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace vallm::testing {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& value) {
  return value.status();
}

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

// Matches a status of `code` whose message contains `text`.
MATCHER_P2(StatusIs, code, text, "") {
  const absl::Status& status = GetStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code && std::string(status.message()).find(text) != std::string::npos;
}

}  // namespace vallm::testing

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::vallm::testing::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::vallm::testing::IsOk())

#endif  // VALLM_TESTS_TESTING_STATUS_MATCHERS_H_
