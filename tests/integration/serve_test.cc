// `vallm serve` with the real services and the demo model: a chat, crashes of every service, and
// every way to stop. Whatever happens to the command, no process may be left.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/subprocess.h"
#include "tools/serve/ports.h"

namespace vallm::tools {
namespace {

using testing::DescendantsOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::ProcessExists;
using testing::ProgramOf;
using testing::Subprocess;

const std::string kVallm = VALLM_BIN_DIR "/vallm";
const std::string kModel = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
constexpr absl::Duration kPatience = absl::Seconds(60);

class ServeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "serve_XXXXXX";
    dir_ = mkdtemp(path.data());
    port_ = *PickFreePort({});
    management_port_ = *PickFreePort({port_});
  }
  void TearDown() override {
    const bool failed = HasFailure();
    if (failed && serve_ != nullptr) {
      std::fprintf(stderr, "stdout:\n%s\nstderr:\n%s\n", serve_->Output().c_str(),
                   serve_->ErrorOutput().c_str());
    }
    serve_.reset();
    if (!failed) std::filesystem::remove_all(dir_);
  }

  std::vector<std::string> Command(const std::string& model) const {
    return {kVallm,
            "serve",
            model,
            absl::StrCat("--port=", port_),
            absl::StrCat("--management-port=", management_port_),
            "--host=127.0.0.1",
            "--served-model-name=demo",
            "--threads-per-worker=1",
            absl::StrCat("--log-dir=", dir_, "/logs")};
  }

  void Launch(const std::vector<std::string>& more = {},
              const std::vector<std::string>& environment = {}) {
    std::vector<std::string> command = Command(kModel);
    command.insert(command.end(), more.begin(), more.end());
    serve_ = std::make_unique<Subprocess>(command, "", environment);
  }

  // Starts and waits for the banner.
  void Start(const std::vector<std::string>& more = {},
             const std::vector<std::string>& environment = {}) {
    Launch(more, environment);
    ASSERT_TRUE(Eventually(
        [this] { return serve_->Output().find("is ready after") != std::string::npos; }));
  }

  // Waits until `condition` holds; gives up early when serve has ended.
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!condition()) {
      if (absl::Now() > deadline || (serve_ != nullptr && !ProcessExists(serve_->pid())))
        return condition();
      absl::SleepFor(absl::Milliseconds(20));
    }
    return true;
  }

  // Waits until serve said `text`.
  bool Says(const std::string& text) {
    return Eventually([&] { return serve_->ErrorOutput().find(text) != std::string::npos; });
  }

  // The processes that run `program`, direct or indirect children of serve.
  std::vector<pid_t> Running(const std::string& program) const {
    std::vector<pid_t> found;
    for (pid_t pid : DescendantsOf(serve_->pid())) {
      if (ProgramOf(pid) == program) found.push_back(pid);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  std::string Ask(const std::string& question, const std::string& key = "") const {
    std::vector<std::string> command = {
        kVallm,   "chat",  absl::StrCat("--url=http://127.0.0.1:", port_, "/v1"), "--temperature=0",
        "--once", question};
    if (!key.empty()) command.push_back(absl::StrCat("--api-key=", key));
    Subprocess chat(command);
    EXPECT_TRUE(chat.Wait(kPatience));
    return chat.exit_code() == 0 ? chat.Output() : "error: " + chat.ErrorOutput();
  }

  std::string dir_;
  int port_ = 0;
  int management_port_ = 0;
  std::unique_ptr<Subprocess> serve_;
};

bool AllGone(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), ProcessExists);
}

std::string CommandLine(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(ServeTest, AnswersAndStopsWithoutLeavingAnything) {
  Start({"--instance=2", "--tensor-parallel-size=2"});
  EXPECT_THAT(Ask("What is 478 + 356?"), HasSubstr("834"));
  EXPECT_EQ(Running("vallm-engine").size(), 2u);
  EXPECT_EQ(Running("vallm-worker").size(), 4u);
  const std::vector<pid_t> all = DescendantsOf(serve_->pid());
  EXPECT_EQ(all.size(), 8u);
  serve_->Signal(SIGTERM);
  ASSERT_TRUE(serve_->Wait(kPatience));
  EXPECT_EQ(serve_->exit_code(), 0);
  EXPECT_TRUE(AllGone(all));
  EXPECT_THAT(serve_->ErrorOutput(), Not(HasSubstr("killed")));
  EXPECT_THAT(serve_->Output(), HasSubstr(absl::StrCat("http://127.0.0.1:", port_, "/v1")));
}

TEST_F(ServeTest, RestartsEachServiceWhileTheOthersKeepRunning) {
  Start();
  const std::vector<std::pair<std::string, std::string>> services = {
      {"vallm-tokenizer", "tokenizer"}, {"vallm-engine", "engine-0"}, {"vallm-gateway", "gateway"}};
  for (const auto& [program, name] : services) {
    SCOPED_TRACE(program);
    const std::vector<pid_t> victims = Running(program);
    ASSERT_EQ(victims.size(), 1u);
    std::set<pid_t> others;
    for (const char* other : {"vallm-tokenizer", "vallm-engine", "vallm-gateway"}) {
      if (other == program) continue;
      const std::vector<pid_t> running = Running(other);
      others.insert(running.begin(), running.end());
    }
    const std::vector<pid_t> workers = Running("vallm-worker");
    kill(victims.front(), SIGKILL);
    ASSERT_TRUE(Says(name + " was killed by signal 9"));
    // A gateway without an engine is not ready for a moment: what counts comes last.
    ASSERT_TRUE(Eventually([&] {
      const std::string said = serve_->ErrorOutput();
      return said.find(name + " is ready again", said.rfind(" was killed by signal 9")) !=
             std::string::npos;
    }));
    EXPECT_FALSE(ProcessExists(victims.front()));
    EXPECT_EQ(Running(program).size(), 1u);
    for (pid_t pid : others) EXPECT_TRUE(ProcessExists(pid));
    if (program == "vallm-engine") {
      EXPECT_TRUE(AllGone(workers));
    }
    EXPECT_THAT(Ask("What is 478 + 356?"), HasSubstr("834"));
  }
}

TEST_F(ServeTest, SaysWhenThePoolIsTooSmallForAllSlots) {
  Start({"--max-model-len=512", "--num-kv-blocks=100", "--kv-cache-dtype=bfloat16"});
  EXPECT_THAT(serve_->Output(), HasSubstr("1600 tokens = 3 full contexts for 4 slots; "));
  const std::vector<pid_t> workers = Running("vallm-worker");
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_THAT(CommandLine(workers.front()), HasSubstr("--kv-cache-dtype=bfloat16"));
}

TEST_F(ServeTest, RestartsAServiceThatHangs) {
  Start({"--hang-timeout=1"});
  const std::vector<std::pair<std::string, std::string>> services = {
      {"vallm-tokenizer", "tokenizer"}, {"vallm-engine", "engine-0"}, {"vallm-gateway", "gateway"}};
  for (const auto& [program, name] : services) {
    SCOPED_TRACE(program);
    const std::vector<pid_t> victims = Running(program);
    ASSERT_EQ(victims.size(), 1u);
    kill(victims.front(), SIGSTOP);
    ASSERT_TRUE(Says(name + " hangs: no answer for "));
    ASSERT_TRUE(Says(name + " was killed by signal 9"));
    ASSERT_TRUE(Eventually([&] {
      const std::string said = serve_->ErrorOutput();
      return said.find(name + " is ready again", said.find(name + " hangs")) != std::string::npos;
    }));
    EXPECT_FALSE(ProcessExists(victims.front()));
    EXPECT_EQ(Running(program).size(), 1u);
  }
  // Whoever only lost sight of a hanging service was left alone.
  const std::string said = serve_->ErrorOutput();
  for (const auto& [program, name] : services) {
    EXPECT_EQ(said.find(name + " hangs"), said.rfind(name + " hangs")) << said;
  }
  EXPECT_THAT(Ask("What is 478 + 356?"), HasSubstr("834"));
}

TEST_F(ServeTest, TakesItsChildrenAlongWhenItIsKilled) {
  Start();
  const std::vector<pid_t> all = DescendantsOf(serve_->pid());
  EXPECT_EQ(all.size(), 4u);
  serve_->Signal(SIGKILL);
  ASSERT_TRUE(serve_->Wait(kPatience));
  serve_.reset();
  EXPECT_TRUE(Eventually([&] { return AllGone(all); }));
}

TEST_F(ServeTest, CanBeInterruptedWhileItStarts) {
  Launch();
  ASSERT_TRUE(Eventually([this] { return !DescendantsOf(serve_->pid()).empty(); }));
  const std::vector<pid_t> all = DescendantsOf(serve_->pid());
  serve_->Signal(SIGINT);
  ASSERT_TRUE(serve_->Wait(kPatience));
  EXPECT_EQ(serve_->exit_code(), 0);
  EXPECT_TRUE(AllGone(all));
}

TEST_F(ServeTest, AsksForTheKeyAndShowsItNowhere) {
  Start({}, {"VALLM_API_KEY=first-key,second-key"});
  EXPECT_THAT(Ask("Hello"), HasSubstr("401"));
  EXPECT_THAT(Ask("Hello", "wrong"), HasSubstr("401"));
  for (const char* key : {"first-key", "second-key"}) {
    EXPECT_THAT(Ask("Hello", key), Not(HasSubstr("error")));
    for (pid_t pid : DescendantsOf(serve_->pid())) {
      EXPECT_THAT(CommandLine(pid), Not(HasSubstr(key)));
    }
  }
}

TEST_F(ServeTest, SaysWhatIsWrongAndLeavesNothing) {
  const auto refused = [this](const std::vector<std::string>& command, const std::string& message) {
    Subprocess serve(command);
    EXPECT_TRUE(serve.Wait(kPatience));
    EXPECT_NE(serve.exit_code(), 0);
    EXPECT_THAT(serve.ErrorOutput(), HasSubstr(message));
    EXPECT_THAT(serve.Output(), IsEmpty());
  };
  refused(Command("/nonexistent"), "model directory /nonexistent does not exist");
  std::vector<std::string> command = Command(kModel);
  command.push_back("--device=cuda");
  refused(command, "use cpu, vacc or mock");
  command.back() = "--device=vacc";
  refused(command, "libvallm_vacc.so");
  command.back() = "--max-model-len=1000000";
  refused(command, "1000000");
}

TEST_F(ServeTest, EndsWhenAServiceCannotStart) {
  // The tokenizer's file is broken: nothing but the tokenizer itself notices.
  const std::string model = dir_ + "/model";
  std::filesystem::create_directory(model);
  for (const auto& entry : std::filesystem::directory_iterator(kModel)) {
    if (entry.path().filename() == "tokenizer.json") continue;
    std::filesystem::create_symlink(entry.path(), model + "/" + entry.path().filename().string());
  }
  std::ofstream(model + "/tokenizer.json") << "{}";
  serve_ = std::make_unique<Subprocess>(Command(model));
  ASSERT_TRUE(serve_->Wait(kPatience));
  EXPECT_EQ(serve_->exit_code(), 1);
  EXPECT_THAT(serve_->ErrorOutput(), HasSubstr("tokenizer exited with status 1 while starting"));
  EXPECT_THAT(serve_->ErrorOutput(), HasSubstr("tokenizer.json"));
}

}  // namespace
}  // namespace vallm::tools
