// What the tokenizer service does with long texts, clients that are gone and streams that hold
// back, and what its metrics say.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/tokenizer_service_fixture.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tokenizer {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using enum absl::StatusCode;

// A prompt of more than 200k tokens passes, both ways, in a thread of its own.
TEST(TokenizerLimits, TakesVeryLongTexts) {
  std::string text;
  for (int i = 0; i < 120'000; ++i) absl::StrAppend(&text, "word ", i % 97, "\n");
  v1::EncodeRequest request;
  request.add_texts(text);
  const auto encoded = SharedService().Encode(request);
  ASSERT_OK(encoded);
  const auto& ids = encoded->sequences(0).token_ids();
  EXPECT_GT(ids.size(), 200'000);
  v1::DecodeRequest decode;
  *decode.mutable_token_ids() = ids;
  const auto decoded = SharedService().Call(&v1::Tokenizer::Stub::Decode, decode);
  ASSERT_OK(decoded);
  EXPECT_TRUE(decoded->text() == text);
}

// A batch ends at the next text once its client has given up.
TEST(TokenizerLimits, StopsWorkThatNobodyWaitsFor) {
  Service service;
  v1::EncodeRequest request;
  for (int i = 0; i < 4; ++i) {
    std::string text(4 << 20, 'a');
    for (size_t j = 0; j < text.size(); j += 7) text[j] = static_cast<char>('b' + j % 23);
    request.add_texts(text);
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(50)));
  v1::EncodeResponse response;
  EXPECT_THAT(FromGrpc(service.stub().Encode(&context, request, &response)),
              StatusIs(kDeadlineExceeded, ""));
  service.server().Shutdown(absl::Seconds(60));
  EXPECT_THAT(service.Metrics(), ::testing::Not(HasSubstr("method=\"Encode\",code=\"OK\"")));
}

TEST(TokenizerLimits, CountsCallsByMethodAndCode) {
  Service service;
  v1::EncodeRequest request;
  EXPECT_THAT(service.Encode(request), StatusIs(kInvalidArgument, "texts"));
  request.add_texts("Hello");
  ASSERT_OK(service.Encode(request));
  ASSERT_OK(service.RenderChat(Question()));
  const auto ids = EncodeLocally("Hello there");
  {
    Stream stream(service);
    stream.Open(QwenOptions());
    ASSERT_TRUE(stream.Feed(ids));
    EXPECT_THAT(service.Metrics(), HasSubstr("vallm_tokenizer_open_streams 1"));
    ASSERT_TRUE(stream.Finish("stop"));
    ASSERT_OK(stream.End());
  }
  service.server().Shutdown(absl::Seconds(10));
  const std::string metrics = service.Metrics();
  const std::string calls = "vallm_tokenizer_requests_total";
  for (const std::string& line :
       {absl::StrCat(calls, "{code=\"OK\",method=\"Encode\"} 1"),
        absl::StrCat(calls, "{code=\"INVALID_ARGUMENT\",method=\"Encode\"} 1"),
        absl::StrCat(calls, "{code=\"OK\",method=\"ParseStream\"} 1"),
        std::string("vallm_tokenizer_request_duration_seconds_count{method=\"Encode\"} 2"),
        std::string("vallm_tokenizer_open_streams 0"),
        absl::StrCat("vallm_tokenizer_tokens_decoded_total ", ids.size())}) {
    EXPECT_THAT(metrics, HasSubstr(line + "\n"));
  }
  EXPECT_THAT(metrics, ::testing::Not(HasSubstr("vallm_tokenizer_tokens_encoded_total 0\n")));
}

TEST(TokenizerLimits, TellsWhyAStreamEnded) {
  Service service;
  const auto ids = EncodeLocally("Hello");
  for (int i = 0; i < 20; ++i) {
    Stream stream(service);
    stream.Open(QwenOptions());
    ASSERT_TRUE(stream.Feed(ids));
    stream.Cancel();
    EXPECT_THAT(stream.End(), StatusIs(kCancelled, ""));
  }
  for (int i = 0; i < 3; ++i) {
    Stream stream(service, absl::Now() + absl::Milliseconds(300));
    stream.Open(QwenOptions());
    ASSERT_TRUE(stream.Feed(ids));
    EXPECT_THAT(stream.End(), StatusIs(kDeadlineExceeded, ""));
  }
  service.server().Shutdown(absl::Seconds(10));
  EXPECT_THAT(service.Metrics(), ::testing::Not(HasSubstr("INVALID_ARGUMENT")));
  EXPECT_THAT(service.Metrics(), HasSubstr("{code=\"CANCELLED\",method=\"ParseStream\"} 20"));
  EXPECT_THAT(service.Metrics(),
              HasSubstr("{code=\"DEADLINE_EXCEEDED\",method=\"ParseStream\"} 3"));
}

// A tool call that is never decided cannot fill the memory.
TEST(TokenizerLimits, BoundsWhatAStreamHoldsBack) {
  Stream stream(SharedService());
  v1::ParseOptions options = QwenOptions();
  options.set_prompt_think_state(v1::PROMPT_THINK_STATE_CLOSED);
  stream.Open(options);
  ASSERT_TRUE(stream.Feed(EncodeLocally("<tool_call>{\"arguments\": \"")));
  const auto ids = EncodeLocally(std::string(1 << 20, 'x'));
  int pieces = 0;
  while (pieces < 10 && stream.Feed(ids)) ++pieces;
  EXPECT_EQ(pieces, 3);
  EXPECT_THAT(stream.End(), StatusIs(kResourceExhausted, "limit is 4194304"));
}

}  // namespace
}  // namespace vallm::tokenizer
