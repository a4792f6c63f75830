#include "common/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "common/valid_utf8.h"

namespace vallm {
namespace {

// A status travels in a header, and gRPC turns a call whose headers exceed 8 KiB into another
// error. Bytes that are not printable ASCII take three there.
constexpr size_t kMaxMessageBytes = 2000;

std::string Shortened(const std::string& message) {
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(message.substr(0, end), "... (", message.size() - end, " more bytes)");
}

}  // namespace

static_assert(static_cast<int>(absl::StatusCode::kCancelled) == grpc::StatusCode::CANCELLED);
static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) ==
              grpc::StatusCode::UNAUTHENTICATED);

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()),
          Shortened(ReplaceInvalidUtf8(ToStd(status.message())))};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace vallm
