#include "engine_service/model/sharding.h"

#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/model/kv_cache.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ModelConfig Demo() {
  ModelConfig config;
  config.vocab_size = 6400;
  config.hidden_size = 256;
  config.num_layers = 6;
  config.num_heads = 8;
  config.num_kv_heads = 4;
  config.head_dim = 64;
  config.intermediate_size = 768;
  config.moe = MoeConfig{.num_experts = 16,
                         .experts_per_token = 4,
                         .intermediate_size = 192,
                         .norm_topk_prob = true,
                         .sparse_step = 1,
                         .dense_layers = {}};
  return config;
}

TEST(MakeShardTest, OneRankHasEverything) {
  const auto shard = MakeShard(Demo(), {.rank = 0, .size = 1});
  ASSERT_OK(shard);
  EXPECT_EQ(shard->heads.q_heads, 8);
  EXPECT_EQ(shard->heads.kv_heads, 4);
  EXPECT_EQ(shard->q_rows, (Range{0, 512}));
  EXPECT_EQ(shard->kv_rows, (Range{0, 256}));
  EXPECT_EQ(shard->moe_rows, (Range{0, 192}));
  EXPECT_EQ(shard->dense_rows, (Range{0, 768}));
  EXPECT_EQ(shard->vocab, (Range{0, 6400}));
  EXPECT_EQ(shard->k_groups, 8);
}

TEST(MakeShardTest, RanksCutHeadsRowsGroupsAndVocabulary) {
  const auto shard = MakeShard(Demo(), {.rank = 3, .size = 4});
  ASSERT_OK(shard);
  EXPECT_EQ(shard->heads.q_heads, 2);
  EXPECT_EQ(shard->heads.kv_heads, 1);
  EXPECT_EQ(shard->q_rows, (Range{384, 512}));
  EXPECT_EQ(shard->kv_rows, (Range{192, 256}));
  EXPECT_EQ(shard->moe_rows, (Range{144, 192})) << "48 wide: cuts a 128-row quantisation block";
  EXPECT_EQ(shard->vocab, (Range{4800, 6400}));
  EXPECT_EQ(shard->k_groups, 2);
}

TEST(MakeShardTest, KvHeadsAreReplicatedBeyondTheirNumber) {
  for (int32_t rank = 0; rank < 8; ++rank) {
    const auto shard = MakeShard(Demo(), {.rank = rank, .size = 8});
    ASSERT_OK(shard);
    EXPECT_EQ(shard->heads.q_heads, 1);
    EXPECT_EQ(shard->heads.kv_heads, 1);
    EXPECT_EQ(shard->q_rows, (Range{rank * 64, rank * 64 + 64}));
    const int64_t kv = rank / 2 * 64;  // query heads 2i and 2i + 1 read KV head i
    EXPECT_EQ(shard->kv_rows, (Range{kv, kv + 64}));
    EXPECT_EQ(shard->k_groups, 1);
  }
}

TEST(MakeShardTest, OneOfSixteenRanksHasHalfAGroup) {
  ModelConfig config = Demo();
  config.num_heads = 16;
  for (int32_t rank = 0; rank < 16; ++rank) {
    const auto shard = MakeShard(config, {.rank = rank, .size = 16});
    ASSERT_OK(shard);
    EXPECT_EQ(shard->k_groups, 1);
    EXPECT_EQ(shard->q_rows, (Range{rank * 64, rank * 64 + 64}));
    EXPECT_EQ(shard->kv_rows.begin, rank / 4 * 64) << "four ranks share a KV head";
    EXPECT_EQ(shard->moe_rows, (Range{rank * 12, rank * 12 + 12}));
  }
  config.moe->intermediate_size = 200;
  EXPECT_OK(MakeShard(config, {.rank = 0, .size = 8}));
  EXPECT_THAT(MakeShard(config, {.rank = 0, .size = 16}),
              StatusIs(kInvalid,
                       "moe_intermediate_size is 200, which tensor parallel size 16 does "
                       "not divide"));
}

TEST(MakeShardTest, AnOddVocabularyIsCoveredOnce) {
  ModelConfig config = Demo();
  config.vocab_size = 6397;
  int64_t end = 0;
  for (int32_t rank = 0; rank < 8; ++rank) {
    const auto shard = MakeShard(config, {.rank = rank, .size = 8});
    ASSERT_OK(shard);
    EXPECT_EQ(shard->vocab.begin, end);
    end = shard->vocab.end;
  }
  EXPECT_EQ(end, 6397);
}

TEST(MakeShardTest, RefusesWhatCannotBeCut) {
  EXPECT_THAT(MakeShard(Demo(), {.rank = 0, .size = 3}), StatusIs(kInvalid, "size is 3"));
  EXPECT_THAT(MakeShard(Demo(), {.rank = 0, .size = 0}), StatusIs(kInvalid, "size is 0"));
  EXPECT_THAT(MakeShard(Demo(), {.rank = 0, .size = 32}),
              StatusIs(kInvalid, "size is 32; it must be 1, 2, 4, 8 or 16"));
  EXPECT_THAT(MakeShard(Demo(), {.rank = 0, .size = 16}),
              StatusIs(kInvalid, "8 attention heads, which tensor parallel size 16"));
  EXPECT_THAT(MakeShard(Demo(), {.rank = 2, .size = 2}), StatusIs(kInvalid, "rank is 2"));
  EXPECT_THAT(MakeShard(Demo(), {.rank = -1, .size = 2}), StatusIs(kInvalid, "rank is -1"));
  ModelConfig config = Demo();
  config.num_heads = 4;
  EXPECT_THAT(MakeShard(config, {.rank = 0, .size = 8}), StatusIs(kInvalid, "4 attention heads"));
  config = Demo();
  config.num_heads = 24;
  config.num_kv_heads = 6;
  EXPECT_THAT(MakeShard(config, {.rank = 0, .size = 4}), StatusIs(kInvalid, "6 key/value heads"));
  config = Demo();
  config.moe->intermediate_size = 100;
  EXPECT_THAT(MakeShard(config, {.rank = 0, .size = 1}),
              StatusIs(kInvalid, "moe_intermediate_size is 100; it must be a multiple of 8"));
  config = Demo();
  config.intermediate_size = 100;
  EXPECT_OK(MakeShard(config, {.rank = 0, .size = 1})) << "no dense layer uses it";
  config.moe->dense_layers = {2};
  EXPECT_THAT(MakeShard(config, {.rank = 0, .size = 1}),
              StatusIs(kInvalid, "intermediate_size is 100"));
}

TEST(KvCacheTest, HasTheMemoryItSays) {
  auto device = CreateCpuDevice({});
  ASSERT_OK(device);
  const ShardSpec spec = {.rank = 0, .size = 2};
  // 6 layers, K and V, 2 heads of 64, 16 positions.
  const int64_t values = int64_t{6} * 2 * 2 * 64 * 16;
  EXPECT_EQ(*KvCache::BytesPerBlock(**device, Demo(), spec, KvType::kBf16), values * 2);
  EXPECT_EQ(*KvCache::BytesPerBlock(**device, Demo(), spec, KvType::kF32), values * 4);
  EXPECT_EQ(*KvCache::BytesPerBlock(**device, Demo(), spec, KvType::kF8E4m3), values);
  auto cache = KvCache::Create(**device, Demo(), spec, /*num_blocks=*/10);
  ASSERT_OK(cache);
  EXPECT_EQ((*cache)->num_blocks(), 10);
  EXPECT_EQ((*cache)->block_size(), 16);
  int64_t bytes = 0;
  for (int i = 0; i < 6; ++i) {
    bytes += (*cache)->k(i).size_bytes() + (*cache)->v(i).size_bytes();
  }
  EXPECT_EQ(bytes, 10 * *KvCache::BytesPerBlock(**device, Demo(), spec));
}

TEST(KvCacheTest, RefusesBadSizes) {
  auto device = CreateCpuDevice({});
  ASSERT_OK(device);
  EXPECT_THAT(KvCache::Create(**device, Demo(), {}, 0), StatusIs(kInvalid, "0 blocks"));
  EXPECT_THAT(KvCache::Create(**device, Demo(), {}, int64_t{1} << 40),
              StatusIs(kInvalid, "want 1 to"));
  EXPECT_THAT(KvCache::Create(**device, Demo(), {}, 1, 32), StatusIs(kInvalid, "block size is 32"));
  EXPECT_THAT(KvCache::Create(**device, Demo(), {.rank = 0, .size = 5}, 1),
              StatusIs(kInvalid, "size is 5"));
}

}  // namespace
}  // namespace vallm::engine
