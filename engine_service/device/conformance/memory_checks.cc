// Memory: zeroed, of any size, refused when there is not enough, and in the order of the calls.
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

absl::StatusOr<Finding> IsZeroed(Bench& bench) {
  // The second time round the memory may be what was freed.
  for (const int64_t bytes : {4, 1000, 4096, 1 << 20, 1000, 4096, 1 << 20}) {
    VALLM_ASSIGN_OR_RETURN(const auto buffer, bench.device().Allocate(bytes));
    if (buffer->size_bytes() != bytes) {
      return Failed(std::string(absl::StrCat(buffer->size_bytes(), " bytes, not ", bytes)));
    }
    VALLM_ASSIGN_OR_RETURN(std::vector<uint8_t> got, bench.Get<uint8_t>(*buffer, bytes));
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] != 0) {
        return Failed(std::string(absl::StrCat("byte ", i, " of ", bytes, " is ", got[i])));
      }
    }
    std::vector<uint8_t> dirt(static_cast<size_t>(bytes), 0xa5);
    VALLM_RETURN_IF_ERROR(bench.device().Upload(std::as_bytes(std::span(dirt)), *buffer));
  }
  return Passed();
}

absl::StatusOr<Finding> HoldsWhatIsUploaded(Bench& bench) {
  for (const size_t bytes : {size_t{1}, size_t{3}, size_t{63}, size_t{65}, size_t{1} << 20}) {
    std::vector<uint8_t> values(bytes);
    Random random(bytes);
    for (uint8_t& value : values) value = static_cast<uint8_t>(random.Next());
    VALLM_ASSIGN_OR_RETURN(const auto buffer, bench.Put(values));
    VALLM_ASSIGN_OR_RETURN(const auto got,
                           bench.Get<uint8_t>(*buffer, static_cast<int64_t>(bytes)));
    if (got != values) return Failed(std::string(absl::StrCat(bytes, " bytes came back changed")));
  }
  return Passed();
}

// Less than a whole buffer, from byte 0.
absl::StatusOr<Finding> CopiesParts(Bench& bench) {
  VALLM_ASSIGN_OR_RETURN(const auto buffer, bench.Put(std::vector<uint8_t>(100, 1)));
  const std::vector<uint8_t> part(7, 2);
  VALLM_RETURN_IF_ERROR(bench.device().Upload(std::as_bytes(std::span(part)), *buffer));
  VALLM_RETURN_IF_ERROR(bench.device().Upload({}, *buffer));
  VALLM_ASSIGN_OR_RETURN(const auto got, bench.Get<uint8_t>(*buffer, 10));
  const std::vector<uint8_t> want = {2, 2, 2, 2, 2, 2, 2, 1, 1, 1};
  return got == want ? Passed() : Failed("a part of a buffer was copied wrongly");
}

// Host memory may change as soon as a call returned, and operations see uploads in order.
absl::StatusOr<Finding> CallsTakeEffectInOrder(Bench& bench) {
  constexpr int64_t kWidth = 4096;
  std::vector<float> values(kWidth, 1.0f);
  VALLM_ASSIGN_OR_RETURN(const auto x, bench.Put(values));
  VALLM_ASSIGN_OR_RETURN(const auto y, bench.Put(values));
  std::vector<float> want(kWidth, 1.0f);
  for (int step = 0; step < 8; ++step) {
    VALLM_RETURN_IF_ERROR(bench.device().Add(*x, *y, 1, kWidth));
    for (float& value : values) value = static_cast<float>(step);
    VALLM_RETURN_IF_ERROR(bench.device().Upload(std::as_bytes(std::span(values)), *y));
    values.assign(kWidth, -1000.0f);
    for (float& value : want) value += step == 0 ? 1.0f : static_cast<float>(step - 1);
  }
  VALLM_ASSIGN_OR_RETURN(const auto got, bench.Get<float>(*x, kWidth));
  return SameBits(got, want, kWidth, "eight additions and uploads");
}

absl::StatusOr<Finding> RefusesTooMuch(Bench& bench) {
  constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
  for (const int64_t bytes : {int64_t{1} << 60, std::numeric_limits<int64_t>::max(), int64_t{-1}}) {
    const Finding refused = Refused(bench.device().Allocate(bytes).status(), kExhausted,
                                    std::string(absl::StrCat("allocating ", bytes, " bytes")));
    if (refused.outcome != Outcome::kPassed) return refused;
  }
  VALLM_RETURN_IF_ERROR(bench.device().Allocate(0).status());
  return HoldsWhatIsUploaded(bench);  // the device goes on
}

}  // namespace

std::vector<Check> MemoryChecks() {
  return {{"memory/zeroed/new and reused", false, IsZeroed},
          {"memory/copies/any size", false, HoldsWhatIsUploaded},
          {"memory/copies/parts", false, CopiesParts},
          {"memory/order/uploads and operations", false, CallsTakeEffectInOrder},
          {"memory/refuses/more than there is", false, RefusesTooMuch}};
}

}  // namespace vallm::engine::conformance
