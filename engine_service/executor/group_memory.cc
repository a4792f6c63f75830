#include "engine_service/executor/group_memory.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

constexpr uint64_t kMagic = 0x31676e69724c4156;  // "VALring1"
constexpr uint32_t kVersion = 2;
constexpr int64_t kPage = 4096;

}  // namespace

struct GroupMemory::Header {
  uint64_t magic;
  uint32_t version;
  GroupShape shape;
  SpinLimits spin_limits;
  alignas(64) AbortFlag aborted;
  SharedCounter published;
};

// Offsets from the start of the memory; every area starts on a page.
struct GroupMemory::Layout {
  GroupShape shape;
  int64_t ranks = 0;
  int64_t slots = 0;
  int64_t slot_bytes = 0;
  int64_t exchange = 0;
  int64_t total = 0;
  // From the start of a slot.
  int64_t token_ids = 0, chunks = 0, block_ids = 0, logits = 0;

  explicit Layout(const GroupShape& s) : shape(s) {
    int64_t end = 0;
    const auto place = [&end](int64_t bytes) {
      const int64_t at = end;
      end = (end + bytes + kPage - 1) / kPage * kPage;
      return at;
    };
    place(sizeof(Header));
    ranks = place(s.ranks * int64_t{sizeof(RankArea)});
    slots = end;
    place(sizeof(SlotHead));
    token_ids = place(s.max_tokens * int64_t{sizeof(int32_t)}) - slots;
    chunks = place(s.max_chunks * int64_t{sizeof(SequenceChunk)}) - slots;
    block_ids = place(s.max_block_ids * int64_t{sizeof(int32_t)}) - slots;
    logits = place(int64_t{s.max_logit_rows} * s.vocab_size * int64_t{sizeof(float)}) - slots;
    slot_bytes = end - slots;
    end += slot_bytes * (kRingSlots - 1);
    exchange = place(s.ranks * 2 * kExchangeFloats * int64_t{sizeof(float)});
    total = end;
  }
};

void RankArea::SetError(const absl::Status& status) {
  error_code = static_cast<int32_t>(status.code());
  const size_t length = std::min(status.message().size(), sizeof(error_text) - 1);
  std::memcpy(error_text, status.message().data(), length);
  error_text[length] = '\0';
}

absl::Status RankArea::error() const {
  return {static_cast<absl::StatusCode>(error_code),
          absl::string_view(error_text, strnlen(error_text, sizeof(error_text)))};
}

GroupMemory::GroupMemory(std::unique_ptr<SharedMemory> memory, const GroupShape& shape)
    : memory_(std::move(memory)), layout_(std::make_unique<const Layout>(shape)) {}

GroupMemory::~GroupMemory() = default;

absl::StatusOr<std::unique_ptr<GroupMemory>> GroupMemory::Create(const GroupShape& shape,
                                                                 const SpinLimits& spin_limits) {
  CHECK(shape.ranks >= 1 && shape.max_tokens >= 1 && shape.max_chunks >= 1 &&
        shape.max_block_ids >= 1 && shape.max_logit_rows >= 1 && shape.vocab_size >= 1);
  VALLM_ASSIGN_OR_RETURN(auto memory, SharedMemory::Create(Layout(shape).total));
  auto group = std::unique_ptr<GroupMemory>(new GroupMemory(std::move(memory), shape));
  // Zeroed memory is the initial state of every counter.
  Header& header = group->header();
  header.magic = kMagic;
  header.version = kVersion;
  header.shape = shape;
  header.spin_limits = spin_limits;
  return group;
}

absl::StatusOr<std::unique_ptr<GroupMemory>> GroupMemory::Attach(int fd) {
  VALLM_ASSIGN_OR_RETURN(auto memory, SharedMemory::Attach(fd));
  const auto size = static_cast<int64_t>(memory->bytes().size());
  const auto* header = reinterpret_cast<const Header*>(memory->bytes().data());
  if (size < kPage || header->magic != kMagic) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is not the shared memory of a worker group"));
  }
  if (header->version != kVersion || Layout(header->shape).total != size) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the engine's shared memory has version ", header->version, " and ", size,
        " bytes; this worker knows version ", kVersion, " and expects ",
        Layout(header->shape).total, " bytes: engine and worker must be of one build"));
  }
  const GroupShape shape = header->shape;
  return std::unique_ptr<GroupMemory>(new GroupMemory(std::move(memory), shape));
}

template <typename T>
T* GroupMemory::At(int64_t offset) const {
  return reinterpret_cast<T*>(memory_->bytes().data() + offset);
}

GroupMemory::Header& GroupMemory::header() const { return *At<Header>(0); }
const GroupShape& GroupMemory::shape() const { return layout_->shape; }
const SpinLimits& GroupMemory::spin_limits() const { return header().spin_limits; }
SharedCounter& GroupMemory::published() const { return header().published; }
const AbortFlag& GroupMemory::aborted() const { return header().aborted; }

void GroupMemory::Abort() const {
  header().aborted.store(1);
  published().WakeAll();
  for (int32_t r = 0; r < shape().ranks; ++r) {
    rank(r).phase.WakeAll();
    rank(r).finished.WakeAll();
    rank(r).arrived.WakeAll();
  }
}

RankArea& GroupMemory::rank(int32_t rank) const { return At<RankArea>(layout_->ranks)[rank]; }

SlotHead& GroupMemory::slot_head(uint32_t slot) const {
  return *At<SlotHead>(layout_->slots + slot * layout_->slot_bytes);
}

std::span<int32_t> GroupMemory::token_ids(uint32_t slot) const {
  return {At<int32_t>(layout_->slots + slot * layout_->slot_bytes + layout_->token_ids),
          static_cast<size_t>(shape().max_tokens)};
}

std::span<SequenceChunk> GroupMemory::chunks(uint32_t slot) const {
  return {At<SequenceChunk>(layout_->slots + slot * layout_->slot_bytes + layout_->chunks),
          static_cast<size_t>(shape().max_chunks)};
}

std::span<int32_t> GroupMemory::block_ids(uint32_t slot) const {
  return {At<int32_t>(layout_->slots + slot * layout_->slot_bytes + layout_->block_ids),
          static_cast<size_t>(shape().max_block_ids)};
}

std::span<float> GroupMemory::logits(uint32_t slot) const {
  return {At<float>(layout_->slots + slot * layout_->slot_bytes + layout_->logits),
          static_cast<size_t>(shape().max_logit_rows) * static_cast<size_t>(shape().vocab_size)};
}

std::span<float> GroupMemory::exchange(int32_t rank, uint32_t half) const {
  const int64_t index = int64_t{rank} * 2 + half;
  return {At<float>(layout_->exchange) + index * kExchangeFloats,
          static_cast<size_t>(kExchangeFloats)};
}

}  // namespace vallm::engine
