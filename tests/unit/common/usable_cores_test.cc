#include "common/usable_cores.h"

#include <fstream>

#include "gtest/gtest.h"

namespace vallm {
namespace {

namespace fs = std::filesystem;

class CpuQuota : public ::testing::Test {
 protected:
  CpuQuota()
      : root_(fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(root_);
  }
  void Write(const fs::path& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  const fs::path root_;
};

TEST_F(CpuQuota, NoneWithoutControlGroups) { EXPECT_EQ(CpuQuotaCores(root_), std::nullopt); }

TEST_F(CpuQuota, NoneWhenTheGroupSetsNone) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), std::nullopt);
}

TEST_F(CpuQuota, RoundsDownButNotToNothing) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "250000 100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), 2);
  Write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), 1);
}

TEST_F(CpuQuota, TheTightestGroupAboveCounts) {
  Write("proc/self/cgroup", "0::/kube/pod/engine\n");
  Write("sys/fs/cgroup/kube/pod/engine/cpu.max", "max 100000\n");
  Write("sys/fs/cgroup/kube/pod/cpu.max", "300000 100000\n");
  Write("sys/fs/cgroup/kube/cpu.max", "800000 100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), 3);
}

TEST_F(CpuQuota, ReadsVersionOneUnderEitherName) {
  Write("proc/self/cgroup", "4:cpu,cpuacct:/docker/ab\n3:cpuset:/\n0::/\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "400000\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), 4);
  // The path is the host's; the mount is the container's own group.
  fs::remove_all(root_ / "sys");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CpuQuotaCores(root_), 2);
}

TEST(UsableCores, AtLeastOne) { EXPECT_GE(UsableCores(), 1); }

}  // namespace
}  // namespace vallm
