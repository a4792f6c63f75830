// Early returns for absl::Status and absl::StatusOr: the only macros of the project.
//
//   VALLM_RETURN_IF_ERROR(Load(path));
//   VALLM_ASSIGN_OR_RETURN(auto config, ParseConfig(text));
//
// Both evaluate the expression once and return its status from the enclosing function, which must
// itself return absl::Status or absl::StatusOr<T>.
#ifndef VALLM_COMMON_STATUS_MACROS_H_
#define VALLM_COMMON_STATUS_MACROS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define VALLM_RETURN_IF_ERROR(expr)                \
  do {                                             \
    absl::Status vallm_status_ = (expr);           \
    if (!vallm_status_.ok()) return vallm_status_; \
  } while (false)

#define VALLM_STATUS_CONCAT_INNER_(a, b) a##b
#define VALLM_STATUS_CONCAT_(a, b) VALLM_STATUS_CONCAT_INNER_(a, b)

// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration.
#define VALLM_ASSIGN_OR_RETURN(lhs, expr) \
  VALLM_ASSIGN_OR_RETURN_IMPL_(VALLM_STATUS_CONCAT_(vallm_statusor_, __LINE__), lhs, expr)
#define VALLM_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                 \
  if (!statusor.ok()) return statusor.status();           \
  lhs = *std::move(statusor)
// NOLINTEND(bugprone-macro-parentheses)

#endif  // VALLM_COMMON_STATUS_MACROS_H_
