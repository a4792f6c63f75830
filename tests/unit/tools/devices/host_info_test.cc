#include "tools/devices/host_info.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

class HostInfoTest : public ::testing::Test {
 protected:
  HostInfoTest() : root_(fs::path(::testing::TempDir()) / "host_info") { fs::remove_all(root_); }
  ~HostInfoTest() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  const fs::path root_;
};

TEST_F(HostInfoTest, ReadsProcessorMemoryAndNodes) {
  Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2.6GHz\n");
  Write("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   600 kB\n");
  Write("sys/devices/system/node/node10/cpulist", "8-15\n");
  Write("sys/devices/system/node/node2/cpulist", "0-3,6\n");
  Write("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:       500 kB\n");
  Write("sys/devices/system/node/possible", "0-10\n");
  const HostInfo info = ReadHostInfo(root_);
  EXPECT_EQ(info.model, "Some CPU @ 2.6GHz");
  EXPECT_EQ(info.memory_total_bytes, 1000 * 1024);
  EXPECT_EQ(info.memory_free_bytes, 600 * 1024);
  ASSERT_EQ(info.numa_nodes.size(), 2u);
  EXPECT_EQ(info.numa_nodes[0].id, 2);
  EXPECT_EQ(info.numa_nodes[0].cpus, "0-3,6");
  EXPECT_EQ(info.numa_nodes[0].memory_bytes, 500 * 1024);
  EXPECT_EQ(info.numa_nodes[1].id, 10);
  EXPECT_EQ(info.numa_nodes[1].memory_bytes, -1);
}

TEST_F(HostInfoTest, WhatNothingSaysIsUnknown) {
  const HostInfo info = ReadHostInfo(root_);
  EXPECT_EQ(info.model, "unknown");
  EXPECT_EQ(info.memory_total_bytes, -1);
  EXPECT_TRUE(info.numa_nodes.empty());
}

}  // namespace
}  // namespace vallm::tools
