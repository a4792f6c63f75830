// Where addresses of instances come from: the file, DNS, and the thread that asks them.

#include <atomic>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/mutex.h"
#include "gateway/routing/address_poller.h"
#include "gateway/routing/dns_lookup.h"
#include "gateway/routing/instances_file.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

TEST(InstancesFileTest, ReadsYamlAndJson) {
  auto yaml = ParseInstances("- host-a:1\n- address: unix:/run/b\n- '[::1]:2'\n");
  ASSERT_OK(yaml);
  EXPECT_THAT(*yaml, ElementsAre("host-a:1", "unix:/run/b", "[::1]:2"));
  auto json = ParseInstances(R"(["host-a:1", {"address": "host-b:2"}])");
  ASSERT_OK(json);
  EXPECT_THAT(*json, ElementsAre("host-a:1", "host-b:2"));
  auto none = ParseInstances("[]");
  ASSERT_OK(none);
  EXPECT_THAT(*none, IsEmpty());
}

TEST(InstancesFileTest, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not a list"},
      {"host:1", "not a list"},
      {"{address: 'host:1'}", "not a list"},
      {"- host:1\n- host", "entry 2: \"host\" is not an address"},
      {"- [host:1]", "entry 1: must be an address or a map"},
      {"- {port: 1}", "entry 1: has no address"},
      {"- {address: 'host:1', weight: 2}", "entry 1: has more than an address"},
      {"- 'host:1", "not valid YAML"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(ParseInstances(text), StatusIs(absl::StatusCode::kInvalidArgument, message))
        << text;
  }
}

TEST(InstancesFileTest, ErrorsNameTheFile) {
  EXPECT_THAT(ReadInstancesFile("/nowhere/instances.yaml"),
              StatusIs(absl::StatusCode::kNotFound, "/nowhere/instances.yaml"));
  EXPECT_FALSE(ReadInstancesFile(::testing::TempDir()).ok());
  const std::string path = ::testing::TempDir() + "instances.yaml";
  std::ofstream(path) << "- host";
  EXPECT_THAT(ReadInstancesFile(path), StatusIs(absl::StatusCode::kInvalidArgument, path));
  std::ofstream(path) << "- host:1\n";
  auto addresses = ReadInstancesFile(path);
  ASSERT_OK(addresses);
  EXPECT_THAT(*addresses, ElementsAre("host:1"));
  std::remove(path.c_str());
}

TEST(DnsLookupTest, FindsLocalhost) {
  const auto addresses = LookUp({.host = "localhost", .port = 50051});
  ASSERT_OK(addresses);
  EXPECT_THAT(*addresses, Contains(::testing::AnyOf("127.0.0.1:50051", "[::1]:50051")));
}

TEST(DnsLookupTest, NumbersStandForThemselves) {
  const auto v6 = LookUp({.host = "::1", .port = 7});
  ASSERT_OK(v6);
  EXPECT_THAT(*v6, ElementsAre("[::1]:7"));
}

TEST(DnsLookupTest, SaysThatThereIsNoSuchName) {
  const absl::Status status = LookUp({.host = "no-such-name.invalid", .port = 1}).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("no-such-name.invalid"));
}

// A source that says what it is told to, and what came of it.
class AddressPollerTest : public ::testing::Test {
 protected:
  using Addresses = std::vector<std::string>;

  struct Source {
    Mutex mu;
    CondVar changed;
    absl::StatusOr<Addresses> says ABSL_GUARDED_BY(mu) = Addresses{"a:1"};
    int reads ABSL_GUARDED_BY(mu) = 0;
    bool blocks ABSL_GUARDED_BY(mu) = false;

    absl::StatusOr<Addresses> Read() {
      MutexLock lock(mu);
      ++reads;
      changed.NotifyAll();
      while (blocks) changed.Wait(mu);
      return says;
    }
    void Say(absl::StatusOr<Addresses> what) {
      MutexLock lock(mu);
      says = std::move(what);
    }
    void WaitForReads(int more) {
      MutexLock lock(mu);
      const int target = reads + more;
      while (reads < target) changed.Wait(mu);
    }
  };

  std::unique_ptr<AddressPoller> Poller() {
    return std::make_unique<AddressPoller>(
        absl::Milliseconds(1), [source = source_] { return source->Read(); },
        [heard = heard_](const Addresses& addresses) {
          MutexLock lock(heard->mu);
          heard->addresses = addresses;
        });
  }
  struct Heard {
    Mutex mu;
    Addresses addresses ABSL_GUARDED_BY(mu);
  };
  Addresses heard() {
    MutexLock lock(heard_->mu);
    return heard_->addresses;
  }

  const std::shared_ptr<Source> source_ = std::make_shared<Source>();
  const std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
};

TEST_F(AddressPollerTest, FollowsItsSourceAndKeepsWhatThereIsWhenThatFails) {
  const auto poller = Poller();
  source_->WaitForReads(2);
  EXPECT_THAT(heard(), ElementsAre("a:1"));
  source_->Say(absl::UnavailableError("no name server"));
  source_->WaitForReads(2);
  EXPECT_THAT(heard(), ElementsAre("a:1"));
  source_->Say(Addresses{"b:2"});
  source_->WaitForReads(2);
  EXPECT_THAT(heard(), ElementsAre("b:2"));
}

TEST_F(AddressPollerTest, DoesNotWaitForASourceThatBlocks) {
  auto poller = Poller();
  source_->WaitForReads(2);
  {
    MutexLock lock(source_->mu);
    source_->blocks = true;
  }
  source_->WaitForReads(1);
  poller.reset();  // returns although the read has not
  source_->Say(Addresses{"c:3"});
  {
    MutexLock lock(source_->mu);
    source_->blocks = false;
    source_->changed.NotifyAll();
  }
  EXPECT_THAT(heard(), ElementsAre("a:1"));
}

}  // namespace
}  // namespace vallm::gateway
