// The methods of the tokenizer service over real gRPC, with the demo model.
#include "tokenizer_service/tokenizer_server.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "common/grpc_server.h"
#include "common/grpc_status.h"
#include "common/metrics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tokenizer_service_fixture.h"
#include "tests/testing/grpc_probe.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/status_matchers.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadJsonl;
using ::testing::SizeIs;
using testing::StatusIs;
using enum absl::StatusCode;

TEST(TokenizerServer, AnswersHealthAndReflection) {
  Service service;
  EXPECT_EQ(testing::CheckHealth(service.channel(), ""), "SERVING");
  EXPECT_EQ(testing::CheckHealth(service.channel(), "vallm.v1.Tokenizer"), "SERVING");
  EXPECT_EQ(testing::CheckHealth(service.channel(), "vallm.v1.Nothing"), "service name unknown");
  EXPECT_THAT(testing::ListServices(service.channel()), HasSubstr("vallm.v1.Tokenizer"));
  service.server().SetServing(false);
  EXPECT_EQ(testing::CheckHealth(service.channel(), "vallm.v1.Tokenizer"), "NOT_SERVING");
}

TEST(TokenizerServer, ALongMessageLeavesTheErrorWhatItIs) {
  v1::RenderChatRequest request;
  request.set_messages_json(R"([{"role": "user", "content": [{"type": ")" +
                            std::string(1 << 20, 'x') + R"("}]}])");
  EXPECT_THAT(SharedService().RenderChat(request),
              StatusIs(kInvalidArgument, "messages[0].content[0].type"));
}

TEST(TokenizerServer, EncodesABatchTextByText) {
  v1::EncodeRequest request;
  request.add_texts("Hello<|im_end|>");
  request.add_texts("");
  request.add_texts("你好");
  const auto response = SharedService().Encode(request);
  ASSERT_OK(response);
  ASSERT_THAT(response->sequences(), SizeIs(3));
  EXPECT_EQ(Ids(response->sequences(0).token_ids()), EncodeLocally("Hello<|im_end|>"));
  EXPECT_THAT(response->sequences(1).token_ids(), IsEmpty());
  EXPECT_EQ(Ids(response->sequences(2).token_ids()), EncodeLocally("你好"));
}

TEST(TokenizerServer, EncodesSpecialTokensAsTextOnRequest) {
  v1::EncodeRequest request;
  request.add_texts("<|im_end|>");
  auto response = SharedService().Encode(request);
  ASSERT_OK(response);
  EXPECT_THAT(response->sequences(0).token_ids(), ElementsAre(6272));
  request.set_special_tokens(v1::SPECIAL_TOKENS_MODE_LITERAL);
  response = SharedService().Encode(request);
  ASSERT_OK(response);
  EXPECT_GT(response->sequences(0).token_ids_size(), 1);
}

TEST(TokenizerServer, RefusesBadTexts) {
  v1::EncodeRequest request;
  EXPECT_THAT(SharedService().Encode(request), StatusIs(kInvalidArgument, "texts"));
  request.add_texts("fine");
  request.add_texts("ab\xFF");
  EXPECT_THAT(SharedService().Encode(request),
              StatusIs(kInvalidArgument, "texts[1]: text is not valid UTF-8 at byte offset 2"));
  request.set_special_tokens(static_cast<v1::SpecialTokensMode>(77));
  EXPECT_THAT(SharedService().Encode(request), StatusIs(kInvalidArgument, "special_tokens: 77"));
}

TEST(TokenizerServer, DecodesAndShowsBytes) {
  Service& service = SharedService();
  v1::DecodeRequest request;
  const std::vector<int32_t> ids = EncodeLocally("<|im_start|>héllo 你好<think>");
  request.mutable_token_ids()->Assign(ids.begin(), ids.end());
  request.add_token_ids(1'000'000);
  auto response = service.Call(&v1::Tokenizer::Stub::Decode, request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), "<|im_start|>héllo 你好<think>");
  request.set_skip_special_tokens(true);
  response = service.Call(&v1::Tokenizer::Stub::Decode, request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), "héllo 你好<think>");

  v1::GetTokenBytesRequest bytes_request;
  *bytes_request.mutable_token_ids() = request.token_ids();
  const auto bytes = service.Call(&v1::Tokenizer::Stub::GetTokenBytes, bytes_request);
  ASSERT_OK(bytes);
  ASSERT_THAT(bytes->token_bytes(), SizeIs(request.token_ids_size()));
  std::string joined;
  for (const std::string& piece : bytes->token_bytes()) joined += piece;
  EXPECT_EQ(joined, "<|im_start|>héllo 你好<think>");
}

TEST(TokenizerServer, DescribesItself) {
  const auto info = SharedService().Call(&v1::Tokenizer::Stub::GetInfo, v1::GetInfoRequest());
  ASSERT_OK(info);
  EXPECT_EQ(info->model_path(), kDemoModel);
  EXPECT_EQ(info->vocab_size(), 6296);
  EXPECT_TRUE(info->has_chat_template());
  EXPECT_THAT(info->reasoning_parsers(), ElementsAre("deepseek_r1", "qwen3"));
  EXPECT_THAT(info->tool_parsers(), ElementsAre("hermes", "qwen3_coder"));
  EXPECT_THAT(info->fingerprint(), SizeIs(64));
}

TEST(TokenizerServer, RendersEveryConversationOfItsTemplate) {
  int rows = 0;
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/chat_cases.jsonl")) {
    if (row.at("template") != "qwen3.jinja" || row.value("raw", false)) continue;
    v1::RenderChatRequest request;
    request.set_messages_json(row.at("messages").dump());
    if (!row.at("tools").is_null()) request.set_tools_json(row.at("tools").dump());
    request.set_template_kwargs_json(row.at("kwargs").dump());
    request.set_prompt_end(v1::PROMPT_END_AS_IS);
    request.set_return_text(true);
    const auto response = SharedService().RenderChat(request);
    ASSERT_OK(response) << row.at("id");
    EXPECT_EQ(response->text(), row.at("expected").get<std::string>()) << row.at("id");
    EXPECT_EQ(Ids(response->token_ids()), EncodeLocally(response->text())) << row.at("id");
    ++rows;
  }
  EXPECT_GT(rows, 80);
}

TEST(TokenizerServer, EndsAPromptAsAsked) {
  v1::RenderChatRequest request = Question();
  const std::string turn = "<|im_start|>user\nHi<|im_end|>\n";
  auto response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), absl::StrCat(turn, "<|im_start|>assistant\n"));
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_NONE);

  request.set_prompt_end(v1::PROMPT_END_AS_IS);
  response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), turn);

  request.set_prompt_end(v1::PROMPT_END_CONTINUE_FINAL_MESSAGE);
  response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), "<|im_start|>user\nHi");

  request.set_return_text(false);
  response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->text(), "");
}

TEST(TokenizerServer, CountsTheTokensOfAConversation) {
  Service& service = SharedService();
  v1::RenderChatRequest request = Question();
  request.set_tools_json(R"([{"type": "function", "function": {"name": "f"}}])");
  request.set_template_kwargs_json(R"({"enable_thinking": false})");
  for (const v1::PromptEnd end :
       {v1::PROMPT_END_ADD_GENERATION_PROMPT, v1::PROMPT_END_CONTINUE_FINAL_MESSAGE}) {
    request.set_prompt_end(end);
    const auto rendered = service.RenderChat(request);
    ASSERT_OK(rendered);
    v1::CountTokensRequest count;
    count.set_messages_json(request.messages_json());
    count.set_tools_json(request.tools_json());
    count.set_template_kwargs_json(request.template_kwargs_json());
    count.set_prompt_end(end);
    const auto counted = service.Call(&v1::Tokenizer::Stub::CountTokens, count);
    ASSERT_OK(counted);
    EXPECT_EQ(counted->token_count(), rendered->token_ids_size());
  }
  EXPECT_THAT(service.Call(&v1::Tokenizer::Stub::CountTokens, v1::CountTokensRequest()),
              StatusIs(kInvalidArgument, "messages_json: is required"));
}

TEST(TokenizerServer, ThinkStateFollowsTheTemplatesVariables) {
  v1::RenderChatRequest request = Question();
  request.set_template_kwargs_json(R"({"enable_thinking": false})");
  auto response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_THAT(response->text(), HasSubstr("<think>\n\n</think>\n\n"));
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_CLOSED);

  request.set_template_kwargs_json("");
  request.set_messages_json(
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>\nso"}])");
  request.set_prompt_end(v1::PROMPT_END_CONTINUE_FINAL_MESSAGE);
  response = SharedService().RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_OPEN) << response->text();
}

TEST(TokenizerServer, RequestsOverrideTheDefaultVariables) {
  Service service(
      {.model_dir = kDemoModel, .default_kwargs_json = R"({"enable_thinking": false})"});
  v1::RenderChatRequest request = Question();
  auto response = service.RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_CLOSED);
  request.set_template_kwargs_json(R"({"enable_thinking": true})");
  response = service.RenderChat(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_NONE);
}

TEST(TokenizerServer, ServesATemplateFileInsteadOfTheModelsOwn) {
  Service service(
      {.model_dir = kDemoModel,
       .chat_template_path = VALLM_TEST_DATA "/conformance/templates/qwen3_thinking_2507.jinja"});
  const auto response = service.RenderChat(Question());
  ASSERT_OK(response);
  EXPECT_EQ(response->prompt_think_state(), v1::PROMPT_THINK_STATE_OPEN);
}

TEST(TokenizerServer, KnowsATemplateWithoutThoughts) {
  Service service(
      {.model_dir = kDemoModel,
       .chat_template_path = VALLM_TEST_DATA "/conformance/templates/qwen3_instruct_2507.jinja"});
  const auto prompt = service.RenderChat(Question());
  ASSERT_OK(prompt);
  EXPECT_EQ(prompt->prompt_think_state(), v1::PROMPT_THINK_STATE_UNAWARE);

  v1::ParseRequest request;
  *request.mutable_options() = QwenOptions();
  request.mutable_options()->set_prompt_think_state(prompt->prompt_think_state());
  request.set_text("Hello!");
  request.set_engine_finish_reason("stop");
  const auto answer = service.Parse(request);
  ASSERT_OK(answer);
  EXPECT_EQ(answer->content(), "Hello!");
  EXPECT_EQ(answer->reasoning(), "");
}

TEST(TokenizerServer, RefusesAnUnknownTemplateFileAndBadDefaults) {
  EXPECT_THAT(
      ServedModel::Load({.model_dir = kDemoModel, .chat_template_path = "/nonexistent.jinja"}),
      StatusIs(kNotFound, "/nonexistent.jinja"));
  EXPECT_THAT(ServedModel::Load({.model_dir = kDemoModel, .default_kwargs_json = "[1]"}),
              StatusIs(kInvalidArgument, "not a JSON object"));
  EXPECT_THAT(ServedModel::Load({.model_dir = "/nonexistent"}),
              StatusIs(kNotFound, "/nonexistent"));
}

TEST(TokenizerServer, RefusesBadConversations) {
  v1::RenderChatRequest request;
  EXPECT_THAT(SharedService().RenderChat(request), StatusIs(kInvalidArgument, "messages_json"));
  request.set_messages_json("[{]");
  EXPECT_THAT(SharedService().RenderChat(request), StatusIs(kInvalidArgument, ""));
  request = Question();
  request.set_template_kwargs_json("7");
  EXPECT_THAT(SharedService().RenderChat(request),
              StatusIs(kInvalidArgument, "template_kwargs_json"));
  request = Question();
  request.set_messages_json(R"([{"role": "user", "content": [{"type": "image_url"}]}])");
  EXPECT_THAT(SharedService().RenderChat(request), StatusIs(kInvalidArgument, "image_url"));
  request = Question();
  request.set_prompt_end(static_cast<v1::PromptEnd>(99));
  EXPECT_THAT(SharedService().RenderChat(request), StatusIs(kInvalidArgument, "prompt_end: 99"));
}

// Sends `ids` in groups of `group` and returns the folded answer.
v1::ParseResponse StreamIds(const v1::ParseOptions& options, const std::vector<int32_t>& ids,
                            size_t group, const std::string& reason) {
  Stream stream(SharedService());
  stream.Open(options);
  for (size_t begin = 0; begin < ids.size(); begin += group) {
    const size_t end = std::min(ids.size(), begin + group);
    EXPECT_TRUE(stream.Feed({ids.begin() + static_cast<std::ptrdiff_t>(begin),
                             ids.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  EXPECT_TRUE(stream.Finish(reason));
  EXPECT_OK(stream.End());
  return stream.folded();
}

TEST(TokenizerServer, AStreamAddsUpToTheWholeAnswer) {
  for (const auto& row : ReadJsonl(VALLM_TEST_DATA "/conformance/output_parsing_cases.jsonl")) {
    const ordered_json& mode = row.at("mode");
    v1::ParseRequest request;
    v1::ParseOptions& options = *request.mutable_options();
    if (mode.at("reasoning_parser").is_string()) {
      options.set_reasoning_parser(mode.at("reasoning_parser").get<std::string>());
    }
    if (mode.at("tool_parser").is_string()) {
      options.set_tool_parser(mode.at("tool_parser").get<std::string>());
    }
    options.set_tools_enabled(mode.at("tools").get<bool>() && !mode.contains("tool_choice"));
    if (mode.at("prompt_opens_think").get<bool>()) {
      options.set_prompt_think_state(v1::PROMPT_THINK_STATE_OPEN);
    } else if (mode.at("enable_thinking") == false) {
      options.set_prompt_think_state(v1::PROMPT_THINK_STATE_CLOSED);
    }
    options.set_output_whitespace(v1::OUTPUT_WHITESPACE_VERBATIM);
    const auto reason = row.at("engine_finish_reason").get<std::string>();
    request.set_engine_finish_reason(reason);
    const std::vector<int32_t> ids = EncodeLocally(row.at("text").get<std::string>());
    request.mutable_tokens()->mutable_token_ids()->Assign(ids.begin(), ids.end());
    const auto whole = SharedService().Parse(request);
    ASSERT_OK(whole) << row.at("id");
    size_t tokens = 0;
    for (const v1::TokenRun& run : whole->token_runs()) tokens += run.token_count();
    EXPECT_EQ(tokens, ids.size()) << row.at("id");
    for (const size_t group : {size_t{1}, size_t{7}}) {
      EXPECT_EQ(StreamIds(options, ids, group, reason).DebugString(), whole->DebugString())
          << row.at("id") << ", " << group << " tokens at a time";
    }
    EXPECT_THAT(whole->finish_reason(), ::testing::AnyOf(reason, "tool_calls")) << row.at("id");
  }
}

TEST(TokenizerServer, ParsesText) {
  v1::ParseRequest request;
  *request.mutable_options() = QwenOptions();
  request.set_text(
      "<think>\nhm\n</think>\n\nOn it.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
      "1.0}}\n"
      "</tool_call>");
  request.set_engine_finish_reason("stop");
  const auto response = SharedService().Parse(request);
  ASSERT_OK(response);
  EXPECT_EQ(response->reasoning(), "hm");
  EXPECT_EQ(response->content(), "On it.");
  ASSERT_THAT(response->tool_calls(), SizeIs(1));
  EXPECT_EQ(response->tool_calls(0).name(), "f");
  EXPECT_EQ(response->tool_calls(0).arguments(), "{\"a\": 1.0}");
  EXPECT_EQ(response->finish_reason(), "tool_calls");
}

TEST(TokenizerServer, ReadsTheTypesOfArgumentsFromTheTools) {
  v1::ParseRequest request;
  v1::ParseOptions& options = *request.mutable_options();
  options.set_tool_parser("qwen3_coder");
  options.set_tools_enabled(true);
  options.set_tools_json(R"([{"type": "function", "function": {"name": "f", "parameters":)"
                         R"( {"type": "object", "properties": {"n": {"type": "integer"}}}}}])");
  request.set_text(
      "<tool_call>\n<function=f>\n<parameter=n>\n7\n</parameter>\n</function>\n</tool_call>");
  request.set_engine_finish_reason("stop");
  auto response = SharedService().Parse(request);
  ASSERT_OK(response);
  ASSERT_THAT(response->tool_calls(), SizeIs(1));
  EXPECT_EQ(ordered_json::parse(response->tool_calls(0).arguments()), ordered_json({{"n", 7}}));
  options.clear_tools_json();
  response = SharedService().Parse(request);
  ASSERT_OK(response);
  ASSERT_THAT(response->tool_calls(), SizeIs(1));
  EXPECT_EQ(ordered_json::parse(response->tool_calls(0).arguments()), ordered_json({{"n", "7"}}));
}

TEST(TokenizerServer, CountsReasoningTokensAndReportsAStop) {
  v1::ParseOptions options = QwenOptions();
  options.add_stop("END");
  const std::string thought = "<think>\nhm, well\n</think>";
  const std::vector<int32_t> ids = EncodeLocally(thought + "\n\nyes END no");
  const v1::ParseResponse answer = StreamIds(options, ids, 1, "length");
  EXPECT_EQ(answer.reasoning(), "hm, well");
  EXPECT_EQ(answer.content(), "yes ");
  EXPECT_EQ(answer.stop_hit(), "END");
  EXPECT_EQ(answer.finish_reason(), "stop");
  EXPECT_EQ(answer.reasoning_token_count(), static_cast<int64_t>(EncodeLocally(thought).size()));
}

TEST(TokenizerServer, RefusesBadParseOptions) {
  v1::ParseRequest request;
  request.set_text("x");
  request.set_engine_finish_reason("stop");
  ASSERT_OK(SharedService().Parse(request));
  v1::ParseRequest bad = request;
  bad.mutable_options()->set_reasoning_parser("nope");
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "nope"));
  bad = request;
  bad.mutable_options()->add_stop("");
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "stop"));
  bad = request;
  bad.mutable_options()->add_stop(std::string(16385, 's'));
  EXPECT_THAT(SharedService().Parse(bad),
              StatusIs(kInvalidArgument, "has 16385 bytes in all; limit is 16384"));
  bad = request;
  for (int i = 0; i < 33; ++i) bad.mutable_options()->add_stop("s");
  EXPECT_THAT(SharedService().Parse(bad),
              StatusIs(kInvalidArgument, "has 33 strings; limit is 32"));
  bad = request;
  bad.set_engine_finish_reason("whatever");
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "engine_finish_reason"));
  bad = request;
  bad.clear_output();
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "output"));
  bad = request;
  bad.mutable_options()->set_prompt_think_state(static_cast<v1::PromptThinkState>(9));
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "prompt_think_state: 9"));
  bad = request;
  bad.mutable_options()->set_output_whitespace(static_cast<v1::OutputWhitespace>(9));
  EXPECT_THAT(SharedService().Parse(bad), StatusIs(kInvalidArgument, "output_whitespace: 9"));
}

TEST(TokenizerServer, RefusesAStreamOutOfOrder) {
  {
    Stream stream(SharedService());
    EXPECT_FALSE(stream.Feed({1}));
    EXPECT_THAT(stream.End(), StatusIs(kInvalidArgument, "`open` must come first"));
  }
  {
    Stream stream(SharedService());
    EXPECT_FALSE(stream.Finish("stop"));
    EXPECT_THAT(stream.End(), StatusIs(kInvalidArgument, "`open` must come first"));
  }
  {
    Stream stream(SharedService());
    stream.Open(QwenOptions());
    stream.Open(QwenOptions());
    EXPECT_THAT(stream.End(), StatusIs(kInvalidArgument, "open: was sent before"));
  }
  {
    Stream stream(SharedService());
    stream.Open(QwenOptions());
    stream.HalfClose();
    EXPECT_THAT(stream.End(), StatusIs(kInvalidArgument, "ended before `finish`"));
  }
  {
    Stream stream(SharedService());
    stream.Open(QwenOptions());
    EXPECT_FALSE(stream.Finish("tired"));
    EXPECT_THAT(stream.End(), StatusIs(kInvalidArgument, "finish.finish_reason: \"tired\""));
  }
}

TEST(TokenizerServer, ManyStreamsAtOnceDoNotMix) {
  constexpr int kStreams = 24;
  std::vector<std::thread> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.emplace_back([i] {
      const std::string answer = absl::StrCat("answer ", i, " with 你好 and ", i * i);
      const std::vector<int32_t> ids =
          EncodeLocally(absl::StrCat("<think>\nthought ", i, "\n</think>\n\n", answer));
      for (int round = 0; round < 5; ++round) {
        if (i % 4 == 3) {  // some clients leave in the middle
          Stream stream(SharedService());
          stream.Open(QwenOptions());
          EXPECT_TRUE(stream.Feed(ids));
          stream.Cancel();
          EXPECT_THAT(stream.End(), StatusIs(kCancelled, ""));
          continue;
        }
        const v1::ParseResponse parsed = StreamIds(QwenOptions(), ids, 1, "stop");
        EXPECT_EQ(parsed.content(), answer);
        EXPECT_EQ(parsed.reasoning(), absl::StrCat("thought ", i));
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST(TokenizerServer, ACancelledStreamEndsAndLetsTheServerStop) {
  Service service;
  Stream stream(service);
  stream.Open(QwenOptions());
  EXPECT_TRUE(stream.Feed({1, 2, 3}));
  stream.Cancel();
  EXPECT_THAT(stream.End(), StatusIs(kCancelled, ""));
  service.server().Shutdown(absl::Seconds(30));
}

// A model's template may refuse a lone user message on purpose; one that was given must work.
TEST(ServedModel, OnlyAGivenTemplateMustRenderAPlainMessage) {
  const std::filesystem::path dir =
      std::filesystem::path(::testing::TempDir()) / absl::StrCat("served_model_", getpid());
  std::filesystem::create_directory(dir);
  std::filesystem::create_symlink(std::string(kDemoModel) + "/tokenizer.json",
                                  dir / "tokenizer.json");
  const std::string own = (dir / "chat_template.jinja").string();
  std::ofstream(own) << "{{ raise_exception('a system message is required') }}";
  EXPECT_OK(ServedModel::Load({.model_dir = dir.string()}));
  // Variables do not make it worse: they are not to blame.
  EXPECT_OK(ServedModel::Load({.model_dir = dir.string(), .default_kwargs_json = R"({"a": 1})"}));
  EXPECT_THAT(ServedModel::Load({.model_dir = kDemoModel, .chat_template_path = own}),
              StatusIs(kInvalidArgument, "a system message is required"));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace vallm::tokenizer
