// Prompts that the gateway encodes itself, beside a real tokenizer service with the demo model.
#include "gateway/prompt_tokenizer.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/usable_cores.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/integration/tokenizer_service_fixture.h"
#include "tests/testing/fake_tokenizer.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::AnyOf;
using testing::FakeTokenizer;
using ::testing::HasSubstr;
using testing::ReadJsonl;
using testing::StatusIs;
using tokenizer::kDemoModel;
using tokenizer::Question;
using tokenizer::Service;
using tokenizer::SharedService;
using enum absl::StatusCode;
using Stub = v1::Tokenizer::Stub;

constexpr absl::Duration kPatience = absl::Milliseconds(300);
const RequestId kId = "test-1";

std::shared_ptr<const TokenizerCopy> CopyOf(Service& service) {
  auto files = service.Call(&Stub::GetModelFiles, v1::GetModelFilesRequest());
  EXPECT_OK(files);
  auto copy = TokenizerCopy::Create(*std::move(files), /*prompt_cache_mib=*/1);
  EXPECT_OK(copy);
  return copy.value_or(nullptr);
}

template <typename Response>
void ExpectSame(const absl::StatusOr<Response>& here, const absl::StatusOr<Response>& there,
                const std::string& what) {
  EXPECT_EQ(here.status(), there.status()) << what;
  if (!here.ok() || !there.ok()) return;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*here, *there)) << what;
}

void ExpectSameChat(const TokenizerCopy& copy, const v1::RenderChatRequest& request) {
  const std::string what = request.messages_json().substr(0, 300);
  ExpectSame(copy.RenderChat(request), SharedService().RenderChat(request), what);
  v1::CountTokensRequest count;
  count.set_messages_json(request.messages_json());
  count.set_tools_json(request.tools_json());
  count.set_template_kwargs_json(request.template_kwargs_json());
  count.set_prompt_end(request.prompt_end());
  ExpectSame(copy.CountTokens(count), SharedService().Call(&Stub::CountTokens, count), what);
}

TEST(TokenizerCopy, RendersAsTheServiceDoes) {
  const auto copy = CopyOf(SharedService());
  ASSERT_NE(copy, nullptr);
  int rows = 0;
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/chat_cases.jsonl")) {
    v1::RenderChatRequest request;
    request.set_messages_json(row.at("messages").dump());
    if (!row.at("tools").is_null()) request.set_tools_json(row.at("tools").dump());
    request.set_template_kwargs_json(row.at("kwargs").dump());
    request.set_prompt_end(rows % 2 == 0 ? v1::PROMPT_END_ADD_GENERATION_PROMPT
                                         : v1::PROMPT_END_CONTINUE_FINAL_MESSAGE);
    request.set_return_text(rows % 3 == 0);
    ExpectSameChat(*copy, request);
    ++rows;
  }
  EXPECT_GT(rows, 100);
}

TEST(TokenizerCopy, RefusesAsTheServiceDoes) {
  const auto copy = CopyOf(SharedService());
  ASSERT_NE(copy, nullptr);
  for (const std::string& messages :
       {std::string(), std::string("[]"), std::string("{"), std::string("[{\"role\": 3}]"),
        std::string(R"([{"role": "user", "content": [{"type": "image_url"}]}])"),
        std::string(R"([{"role": "user", "content": [{"type": "\ud83d"}]}])"),
        R"([{"role": "user", "content": [{"type": ")" + std::string(20000, 'x') + R"("}]}])"}) {
    v1::RenderChatRequest request;
    request.set_messages_json(messages);
    EXPECT_FALSE(copy->RenderChat(request).ok()) << messages.substr(0, 80);
    ExpectSameChat(*copy, request);
    request = Question();
    request.set_template_kwargs_json(messages);
    ExpectSameChat(*copy, request);
  }
}

TEST(TokenizerCopy, EncodesAndDecodesAsTheServiceDoes) {
  const auto copy = CopyOf(SharedService());
  ASSERT_NE(copy, nullptr);
  v1::EncodeRequest encode;
  ExpectSame(copy->Encode(encode), SharedService().Encode(encode), "no texts");
  for (const char* text :
       {"", "h\u00e9llo \u4f60\u597d", "<|im_start|>user\n1 + 2 =", "\xf0\x9f"}) {
    encode.add_texts(text);
    ExpectSame(copy->Encode(encode), SharedService().Encode(encode), text);
  }
  encode.mutable_texts()->RemoveLast();
  encode.set_special_tokens(v1::SPECIAL_TOKENS_MODE_LITERAL);
  ExpectSame(copy->Encode(encode), SharedService().Encode(encode), "literal");

  v1::DecodeRequest decode;
  v1::GetTokenBytesRequest bytes;
  for (int32_t id = -1; id < 7000; id += 7) {
    decode.add_token_ids(id);
    bytes.add_token_ids(id);
  }
  for (const bool skip : {false, true}) {
    decode.set_skip_special_tokens(skip);
    ExpectSame(copy->Decode(decode), SharedService().Call(&Stub::Decode, decode), "decode");
  }
  ExpectSame(copy->GetTokenBytes(bytes), SharedService().Call(&Stub::GetTokenBytes, bytes),
             "bytes");
  ExpectSame(absl::StatusOr<v1::TokenizerInfo>(copy->info()),
             SharedService().Call(&Stub::GetInfo, v1::GetInfoRequest()), "info");
}

TEST(TokenizerCopy, HasTheTemplateAndTheVariablesOfTheServicesFlags) {
  const std::string path =
      (std::filesystem::temp_directory_path() / absl::StrCat("own-", getpid(), ".jinja")).string();
  std::ofstream(path) << "{{ bos_token }}{{ mood }}: {{ messages[0].content }}";
  Service service({.model_dir = kDemoModel,
                   .chat_template_path = path,
                   .default_kwargs_json = R"({"mood": "calm"})"});
  const auto copy = CopyOf(service);
  std::filesystem::remove(path);
  ASSERT_NE(copy, nullptr);
  const auto here = copy->RenderChat(Question());
  ASSERT_OK(here);
  EXPECT_THAT(here->text(), HasSubstr("calm: Hi"));
  ExpectSame(here, service.RenderChat(Question()), "own template");
  EXPECT_NE(copy->info().files_fingerprint(), CopyOf(SharedService())->info().files_fingerprint());
}

int Calls(const Service& service, const std::string& method) {
  const std::string metrics = service.Metrics();
  const std::string name =
      absl::StrCat("vallm_tokenizer_requests_total{code=\"OK\",method=\"", method, "\"} ");
  const size_t at = metrics.find(name);
  return at == std::string::npos ? 0 : std::stoi(metrics.substr(at + name.size()));
}

int RenderCalls(const Service& service) { return Calls(service, "RenderChat"); }

// False when `done` is not so within ten seconds.
bool Await(const std::function<bool()>& done) {
  for (int i = 0; i < 1000 && !done(); ++i) absl::SleepFor(absl::Milliseconds(10));
  return done();
}

TEST(PromptTokenizer, SmallPromptsDoNotNeedTheServiceOnceThereIsACopy) {
  Service service;
  PromptTokenizer prompts({.address = service.address()}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  v1::RenderChatRequest large = Question();
  large.set_messages_json(R"([{"role": "user", "content": ")" + std::string(64 << 10, 'x') +
                          R"("}])");
  v1::RenderChatRequest own = Question();
  own.set_chat_template("{{ messages[0].content }}!");
  const int before = RenderCalls(service);
  EXPECT_OK(prompts.RenderChat(large, kId));
  EXPECT_OK(prompts.RenderChat(own, kId));
  EXPECT_EQ(RenderCalls(service), before + 2);

  service.server().Shutdown(absl::ZeroDuration());
  EXPECT_OK(prompts.RenderChat(Question(), kId));
  const auto config = prompts.GetConfig(kId);
  ASSERT_OK(config);
  EXPECT_THAT(config->chat_template(), HasSubstr("<|im_start|>"));
  EXPECT_EQ(config->tokenizer_json(), "");
  EXPECT_THAT(prompts.RenderChat(large, kId), StatusIs(kUnavailable, "tokenizer service"));
  EXPECT_THAT(prompts.RenderChat(own, kId), StatusIs(kUnavailable, "tokenizer service"));
}

TEST(PromptTokenizer, WhatTheServiceIsBusyWithDoesNotSendSmallPromptsThere) {
  Service service;
  PromptTokenizer prompts({.address = service.address()}, absl::Seconds(10));
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  v1::RenderChatRequest slow = Question();
  slow.set_chat_template(
      "{% for i in range(90000) %}{% for j in range(90) %}{% endfor %}{% endfor %}");
  std::atomic<int> running = std::max(2, UsableCores()) + 1;
  std::vector<std::thread> threads;
  for (int i = running; i > 0; --i) {
    threads.emplace_back([&] {
      (void)prompts.RenderChat(slow, kId);  // at its limit of steps it is refused
      --running;
    });
  }
  absl::SleepFor(absl::Milliseconds(50));  // until they are under way
  v1::CountTokensRequest small;
  small.set_messages_json(Question().messages_json());
  EXPECT_OK(prompts.CountTokens(small, kId));
  EXPECT_GT(running, 1) << "the slow ones ended too soon for this test to mean anything";
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Calls(service, "CountTokens"), 0);
}

TEST(PromptTokenizer, ManySmallPromptsDoNotNeedAServiceThatHasJustGone) {
  Service service;
  PromptTokenizer prompts({.address = service.address()}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  service.server().Shutdown(absl::ZeroDuration());
  v1::RenderChatRequest question = Question();
  question.set_messages_json(R"([{"role": "user", "content": ")" + std::string(60000, 'x') +
                             R"("}])");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4 * std::max(2, UsableCores()); ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) EXPECT_OK(prompts.RenderChat(question, kId));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PromptTokenizer, FilesThatCannotBeCopiedAreFetchedOnce) {
  Service service({.model_dir = kDemoModel}, "127.0.0.1:0", "localtime");
  PromptTokenizer prompts({.address = service.address()}, kPatience);
  ASSERT_TRUE(Await([&] { return Calls(service, "GetInfo") >= 3; }));
  EXPECT_EQ(Calls(service, "GetModelFiles"), 1);
  EXPECT_OK(prompts.RenderChat(Question(), kId));
  service.server().Shutdown(absl::ZeroDuration());
  EXPECT_TRUE(Await([&] { return !prompts.service_is_up(); }));
}

TEST(PromptTokenizer, AVocabularyOfTheServicesIsForgottenWhenThatHasAnother) {
  namespace fs = std::filesystem;
  const fs::path dir = fs::temp_directory_path() / absl::StrCat("other-vocabulary-", getpid());
  fs::create_directories(dir);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(fs::path(kDemoModel) / name, dir / name, fs::copy_options::overwrite_existing);
  }
  auto service = std::make_unique<Service>();
  const std::string address = service->address();
  PromptTokenizer prompts({.address = address, .local_prompt_bytes = 0}, kPatience);
  const auto table = prompts.GetTokenTable(kId);
  ASSERT_OK(table);
  service.reset();
  std::ofstream(dir / "tokenizer.json", std::ios::app) << "\n";  // its fingerprint is another
  service =
      std::make_unique<Service>(tokenizer::ServedModelOptions{.model_dir = dir.string()}, address);
  fs::remove_all(dir);
  EXPECT_TRUE(Await([&] {
    const auto now = prompts.GetTokenTable(kId);
    return now.ok() && *now != *table;
  }));
}

TEST(PromptTokenizer, FollowsTheServiceToOtherFiles) {
  auto service = std::make_unique<Service>();
  const std::string address = service->address();
  PromptTokenizer prompts({.address = address}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  const auto before = prompts.RenderChat(Question(), kId);
  ASSERT_OK(before);
  service.reset();
  EXPECT_TRUE(Await([&] { return !prompts.service_is_up(); }));
  EXPECT_TRUE(prompts.has_copy());
  service = std::make_unique<Service>(
      tokenizer::ServedModelOptions{.model_dir = kDemoModel,
                                    .default_kwargs_json = R"({"enable_thinking": false})"},
      address);
  ASSERT_TRUE(Await([&] { return Calls(*service, "GetModelFiles") > 0; }));
  // From here on a stale prompt would be wrong: the service answers until there is a new copy.
  const auto after = prompts.RenderChat(Question(), kId);
  ASSERT_OK(after);
  EXPECT_NE(after->text(), before->text());
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  const int calls = RenderCalls(*service);
  ExpectSame(prompts.RenderChat(Question(), kId), after, "by the new copy");
  EXPECT_EQ(RenderCalls(*service), calls);
}

TEST(PromptTokenizer, AWholeVocabularyIsTheCopys) {
  Service service;
  PromptTokenizer prompts({.address = service.address()}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.has_copy(); }));
  service.server().Shutdown(absl::ZeroDuration());
  EXPECT_OK(prompts.CheckReady(kPatience, kId));
  const auto table = prompts.GetTokenTable(kId);
  ASSERT_OK(table);
  const tokenizer::Tokenizer& there = service.tokenizer();
  for (int32_t id = -1; id <= there.vocab_size(); ++id) {
    ASSERT_EQ((*table)->TokenBytes(id), there.TokenBytes(id));
    ASSERT_EQ((*table)->IsSpecial(id), there.IsSpecial(id));
  }
  EXPECT_EQ(Calls(service, "GetTokenBytes"), 0);
}

TEST(PromptTokenizer, TheServiceAnswersEverythingIfToldSo) {
  Service service;
  PromptTokenizer prompts({.address = service.address(), .local_prompt_bytes = 0}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.service_is_up(); }));
  EXPECT_OK(prompts.RenderChat(Question(), kId));
  EXPECT_EQ(RenderCalls(service), 1);
  EXPECT_EQ(Calls(service, "GetModelFiles"), 0);
  // What does not change is fetched once.
  for (int i = 0; i < 3; ++i) {
    const auto config = prompts.GetConfig(kId);
    ASSERT_OK(config);
    EXPECT_THAT(config->chat_template(), HasSubstr("<|im_start|>"));
  }
  EXPECT_EQ(Calls(service, "GetModelFiles"), 1);
}

TEST(PromptTokenizer, AServiceOfAnotherVersionAnswersItself) {
  FakeTokenizer service;  // has no fingerprint
  PromptTokenizer prompts({.address = service.address()}, kPatience);
  ASSERT_TRUE(Await([&] { return prompts.service_is_up(); }));
  EXPECT_OK(prompts.RenderChat(Question(), kId));
  EXPECT_EQ(service.last_render().messages_json(), Question().messages_json());
  EXPECT_FALSE(prompts.has_copy());
}

TEST(PromptTokenizer, TheTimeIsTheServices) {
  const std::string path =
      (std::filesystem::temp_directory_path() / absl::StrCat("time-", getpid(), ".jinja")).string();
  std::ofstream(path) << "{{ strftime_now('%d %H:%M') }}";
  const tokenizer::ServedModelOptions options = {.model_dir = kDemoModel,
                                                 .chat_template_path = path};
  Service shanghai(options, "127.0.0.1:0", "Asia/Shanghai");
  const auto copy = CopyOf(shanghai);
  ASSERT_NE(copy, nullptr);
  absl::TimeZone zone;
  ASSERT_TRUE(absl::LoadTimeZone("Asia/Shanghai", &zone));
  const auto now = [&] { return absl::FormatTime("%d %H:%M", absl::Now(), zone); };
  const std::string before = now();
  const auto here = copy->RenderChat(Question());
  ASSERT_OK(here);
  EXPECT_THAT(here->text(), AnyOf(before, now()));
  Service nameless(options, "127.0.0.1:0", "localtime");
  std::filesystem::remove(path);
  auto files = nameless.Call(&Stub::GetModelFiles, v1::GetModelFilesRequest());
  ASSERT_OK(files);
  EXPECT_THAT(TokenizerCopy::Create(*std::move(files), /*prompt_cache_mib=*/1),
              StatusIs(kInvalidArgument, "time zone"));
}

TEST(PromptTokenizer, FilesMayChangeOrGoOnceTheServiceHasRead) {
  namespace fs = std::filesystem;
  const fs::path dir = fs::temp_directory_path() / absl::StrCat("changed-model-", getpid());
  fs::create_directories(dir);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(fs::path(kDemoModel) / name, dir / name, fs::copy_options::overwrite_existing);
  }
  Service service({.model_dir = dir.string()});
  fs::remove_all(dir);
  EXPECT_NE(CopyOf(service), nullptr);
}

}  // namespace
}  // namespace vallm::gateway
