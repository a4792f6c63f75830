#include "tests/testing/fake_openai.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace vallm::testing {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds kLongestGathering{20};
constexpr char kJson[] = "application/json";

std::string Event(const ordered_json& json) { return "data: " + json.dump() + "\n\n"; }

}  // namespace

class FakeOpenAi::Server {
 public:
  explicit Server(FakeOpenAi& fake) : fake_(fake) {
    http_.Get("/v1/models",
              [this](const httplib::Request&, httplib::Response& reply) { ListModels(reply); });
    http_.Post(".*", [this](const httplib::Request& request, httplib::Response& reply) {
      Answer(request, reply);
    });
    port_ = http_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    http_.wait_until_ready();
  }
  ~Server() {
    http_.stop();
    thread_.join();
  }

  int port() const { return port_; }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/v1"); }

  std::vector<Request> TakeRequests() {
    const std::lock_guard lock(mutex_);
    return std::exchange(requests_, {});
  }
  int peak() {
    const std::lock_guard lock(mutex_);
    return peak_;
  }

 private:
  void ListModels(httplib::Response& reply) {
    const std::lock_guard lock(mutex_);
    if (fake_.models_unavailable > 0) {
      --fake_.models_unavailable;
      reply.status = 503;
      return;
    }
    reply.set_content(
        ordered_json{{"data", {{{"id", fake_.model}, {"max_model_len", fake_.max_model_len}}}}}
            .dump(),
        kJson);
  }

  void Answer(const httplib::Request& http, httplib::Response& reply) {
    Request request{.path = http.path, .headers = {}, .body = ordered_json::parse(http.body)};
    for (const auto& [name, value] : http.headers) {
      request.headers[absl::AsciiStrToLower(name)] = value;
    }
    const ordered_json body = request.body;
    std::unique_lock lock(mutex_);
    requests_.push_back(std::move(request));
    peak_ = std::max(peak_, ++running_);
    gathered_.notify_all();
    gathered_.wait_for(lock, kLongestGathering, [&] { return peak_ >= fake_.gather; });
    lock.unlock();
    absl::SleepFor(fake_.delay);
    lock.lock();
    --running_;
    if (fake_.failures > 0) {
      --fake_.failures;
      reply.status = fake_.failure_status;
      reply.set_content(R"({"error":{"message":"busy"}})", kJson);
      return;
    }
    const bool chat = absl::StrContains(http.path, "chat");
    if (body.value("stream", false)) {
      reply.set_content(Stream(chat, body), "text/event-stream");
    } else {
      reply.set_content(Whole(chat, body), kJson);
    }
  }

  ordered_json Usage(const ordered_json& body) const {
    int tokens = fake_.completion_tokens;
    if (tokens == 0) tokens = body.value("max_tokens", body.value("max_completion_tokens", 5));
    return {{"prompt_tokens", 9}, {"completion_tokens", tokens}};
  }

  std::string Whole(bool chat, const ordered_json& body) const {
    ordered_json choice = {{"finish_reason", "stop"}, {"token_ids", {1, 2}}};
    if (chat) {
      choice["message"] = {{"content", fake_.answer}, {"reasoning_content", "Hm."}};
    } else {
      choice["text"] = fake_.answer;
    }
    return ordered_json{{"choices", {choice}}, {"usage", Usage(body)}}.dump();
  }

  std::string Stream(bool chat, const ordered_json& body) const {
    std::string text;
    const auto add = [&](ordered_json choice) { text += Event({{"choices", {choice}}}); };
    const auto piece = [&](const std::string& words, int id) {
      ordered_json choice = {{"token_ids", {id}}};
      if (chat) {
        choice["delta"] = {{"content", words}};
      } else {
        choice["text"] = words;
      }
      return choice;
    };
    if (chat) {
      add({{"delta", {{"role", "assistant"}, {"content", ""}}}});
      add({{"delta", {{"reasoning", "Hm."}}}});
    }
    const size_t half = fake_.answer.size() / 2;
    add(piece(fake_.answer.substr(0, half), 1));
    ordered_json last = piece(fake_.answer.substr(half), 2);
    last["finish_reason"] = "stop";
    add(std::move(last));
    if (fake_.usage) {
      text += Event({{"choices", ordered_json::array()}, {"usage", Usage(body)}});
    }
    return text + "data: [DONE]\n\n";
  }

  FakeOpenAi& fake_;
  httplib::Server http_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;  // guards what follows, and what tests set
  std::condition_variable gathered_;
  std::vector<Request> requests_;
  int running_ = 0;
  int peak_ = 0;
};

FakeOpenAi::FakeOpenAi() : server_(std::make_unique<Server>(*this)) {}
FakeOpenAi::~FakeOpenAi() = default;

int FakeOpenAi::port() const { return server_->port(); }
std::string FakeOpenAi::url() const { return server_->url(); }
std::vector<FakeOpenAi::Request> FakeOpenAi::TakeRequests() { return server_->TakeRequests(); }
int FakeOpenAi::peak() const { return server_->peak(); }

}  // namespace vallm::testing
