#include "tools/load_client/http_reader.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

constexpr std::string_view kChunked =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n";

std::string BodyOf(HttpReader& reader, std::string_view bytes) {
  std::string body;
  reader.Feed(bytes, [&](std::string_view piece) { body += piece; });
  return body;
}

TEST(HttpReaderTest, ReadsChunksHoweverTheyAreCut) {
  for (size_t first = 0; first <= kChunked.size(); ++first) {
    for (size_t second = first; second <= kChunked.size(); second += 7) {
      HttpReader reader;
      std::string body = BodyOf(reader, kChunked.substr(0, first));
      body += BodyOf(reader, kChunked.substr(first, second - first));
      body += BodyOf(reader, kChunked.substr(second));
      ASSERT_EQ(body, "hello world") << first << " " << second;
      EXPECT_TRUE(reader.done());
      EXPECT_FALSE(reader.malformed());
      EXPECT_EQ(reader.status(), 200);
      EXPECT_EQ(reader.content_type(), "text/event-stream");
    }
  }
}

TEST(HttpReaderTest, ReadsALengthAndNoMore) {
  HttpReader reader;
  EXPECT_EQ(
      BodyOf(reader, "HTTP/1.1 429 Too Many\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc"),
      "abc");
  EXPECT_TRUE(reader.done());
  EXPECT_TRUE(reader.closes_connection());
  EXPECT_EQ(reader.status(), 429);
  BodyOf(reader, "d");
  EXPECT_TRUE(reader.malformed());
}

TEST(HttpReaderTest, ABodyWithoutLengthEndsWithTheConnection) {
  HttpReader reader;
  EXPECT_EQ(BodyOf(reader, "HTTP/1.1 200 OK\r\n\r\nabc"), "abc");
  EXPECT_FALSE(reader.done());
  EXPECT_TRUE(reader.EndByClose());
  EXPECT_TRUE(reader.done());
  HttpReader cut;
  BodyOf(cut, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_FALSE(cut.EndByClose());
}

TEST(HttpReaderTest, WaitsForTheAnswerBehind100Continue) {
  HttpReader reader;
  EXPECT_EQ(
      BodyOf(reader, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
      "ok");
  EXPECT_EQ(reader.status(), 200);
  EXPECT_TRUE(reader.done());
}

TEST(HttpReaderTest, KnowsWhatIsNotHttp) {
  for (const char* text : {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    HttpReader reader;
    BodyOf(reader, text);
    EXPECT_TRUE(reader.malformed()) << text;
  }
}

}  // namespace
}  // namespace vallm::tools
