#include "engine_service/executor/group_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

constexpr GroupShape kShape{.ranks = 3,
                            .max_tokens = 7,
                            .max_chunks = 2,
                            .max_block_ids = 5,
                            .max_logit_rows = 2,
                            .vocab_size = 11};

std::unique_ptr<GroupMemory> AttachAgain(const GroupMemory& memory) {
  return GroupMemory::Attach(dup(memory.fd())).value();
}

template <typename T>
void Collect(std::span<T> area, std::vector<std::pair<uintptr_t, uintptr_t>>& all) {
  const auto begin = reinterpret_cast<uintptr_t>(area.data());
  all.emplace_back(begin, begin + area.size_bytes());
}

TEST(GroupMemoryTest, AreasHaveTheirSizesAndDoNotOverlap) {
  const auto memory = GroupMemory::Create(kShape).value();
  std::vector<std::pair<uintptr_t, uintptr_t>> areas;
  for (uint32_t slot = 0; slot < kRingSlots; ++slot) {
    EXPECT_EQ(memory->token_ids(slot).size(), 7u);
    EXPECT_EQ(memory->chunks(slot).size(), 2u);
    EXPECT_EQ(memory->block_ids(slot).size(), 5u);
    EXPECT_EQ(memory->logits(slot).size(), 22u);
    Collect(std::span(&memory->slot_head(slot), 1), areas);
    Collect(memory->token_ids(slot), areas);
    Collect(memory->chunks(slot), areas);
    Collect(memory->block_ids(slot), areas);
    Collect(memory->logits(slot), areas);
  }
  Collect(std::span(&memory->published(), 1), areas);
  for (int32_t rank = 0; rank < kShape.ranks; ++rank) {
    Collect(std::span(&memory->rank(rank), 1), areas);
    Collect(memory->exchange(rank, 0), areas);
    Collect(memory->exchange(rank, 1), areas);
  }
  std::sort(areas.begin(), areas.end());
  for (size_t i = 1; i < areas.size(); ++i) EXPECT_LE(areas[i - 1].second, areas[i].first);
}

TEST(GroupMemoryTest, BothSidesSeeTheSameBytes) {
  const auto memory = GroupMemory::Create(kShape).value();
  const auto attached = AttachAgain(*memory);
  EXPECT_EQ(attached->shape(), kShape);
  memory->logits(1)[21] = 2.5f;
  memory->exchange(2, 1)[kExchangeFloats - 1] = 3.5f;
  memory->rank(2).load_total_bytes = 77;
  EXPECT_EQ(attached->logits(1)[21], 2.5f);
  EXPECT_EQ(attached->exchange(2, 1)[kExchangeFloats - 1], 3.5f);
  EXPECT_EQ(attached->rank(2).load_total_bytes, 77);
  attached->Abort();
  EXPECT_EQ(memory->aborted(), 1u);
}

TEST(GroupMemoryTest, ErrorsCrossTheBoundaryAndAreCutWhenTooLong) {
  const auto memory = GroupMemory::Create(kShape).value();
  memory->rank(0).SetError(absl::NotFoundError("no such tensor"));
  EXPECT_EQ(memory->rank(0).error(), absl::NotFoundError("no such tensor"));
  memory->rank(0).SetError(absl::InternalError(std::string(5000, 'x')));
  EXPECT_EQ(memory->rank(0).error(), absl::InternalError(std::string(1023, 'x')));
}

TEST(GroupMemoryTest, RefusesWhatIsNotAGroup) {
  EXPECT_THAT(GroupMemory::Attach(-1),
              StatusIs(absl::StatusCode::kInvalidArgument, "descriptor -1 is not"));
  const int zeros = memfd_create("zeros", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(zeros, 1 << 16), 0);
  EXPECT_THAT(GroupMemory::Attach(zeros),
              StatusIs(absl::StatusCode::kInvalidArgument, "is not the shared memory"));
}

TEST(GroupMemoryTest, RefusesAnotherVersion) {
  const auto memory = GroupMemory::Create(kShape).value();
  // The version follows the magic number.
  void* header = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd(), 0);
  ASSERT_NE(header, MAP_FAILED);
  static_cast<uint32_t*>(header)[2] = 99;
  munmap(header, 4096);
  EXPECT_THAT(GroupMemory::Attach(dup(memory->fd())),
              StatusIs(absl::StatusCode::kInvalidArgument, "version 99"));
}

TEST(GroupMemoryTest, HasNoNameInTheFileSystemAndCannotShrink) {
  const auto memory = GroupMemory::Create(kShape).value();
  EXPECT_NE(ftruncate(memory->fd(), 1), 0) << "a shrunken mapping would raise SIGBUS";
  char target[256] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(memory->fd());
  ASSERT_GT(readlink(link.c_str(), target, sizeof(target) - 1), 0);
  EXPECT_NE(access(target, F_OK), 0) << target;
}

}  // namespace
}  // namespace vallm::engine
