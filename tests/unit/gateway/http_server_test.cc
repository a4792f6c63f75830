#include "gateway/http_server.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/tls_context.h"
#include "gmock/gmock.h"
#include "tests/testing/raw_client.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_certificates.h"

namespace vallm::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using vallm::testing::CertifiedKey;
using vallm::testing::RawClient;
using vallm::testing::StatusIs;
using vallm::testing::TestAuthority;
using vallm::testing::TestDirectory;

constexpr char kGet[] = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";

// Echoes bodies; /stream sends until the client is gone or reads nothing, /wait until it is gone.
class Echo final : public HttpService {
 public:
  std::optional<HttpResponse> Screen(HttpRequest&) override {
    ++screened;
    return std::nullopt;
  }
  HttpResponse Handle(const HttpRequest& request) override {
    HttpResponse response;
    response.body = absl::StrCat("[", request.body, "]");
    if (request.path == "/stream") {
      response.stream = [this](BodySink& sink) {
        while (sink.Write(std::string(10000, 'x'))) ++written;
        ++gone;
      };
    }
    // Pieces that are tried on another thread; where some of one is left, the rest is written,
    // every other time with more.
    if (request.path == "/try") {
      response.stream = [this](BodySink& sink) {
        for (int i = 0; i < 600; ++i) {
          const std::string piece(static_cast<size_t>(20000 + i), static_cast<char>('a' + i % 26));
          tried += piece;
          bool all = false;
          std::thread([&] { all = sink.TryWrite(piece); }).join();
          if (all) continue;
          const std::string more = ++left % 2 == 0 ? "" : "!";
          tried += more;
          if (!sink.Write(more)) return;
        }
        sink.TryWrite("end");  // the server sends what is left at the end
        tried += "end";
      };
    }
    if (request.path == "/wait") {
      while (!request.client_gone()) absl::SleepFor(absl::Milliseconds(1));
      ++gone;
    }
    return response;
  }
  HttpResponse Malformed(int status) override {
    HttpResponse response;
    response.status = status;
    response.body = "malformed";
    return response;
  }

  // False when after ten seconds nothing of what was tried has been left.
  bool WaitUntilLeft() const {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (left == 0 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
    return left > 0;
  }

  std::atomic<int> screened{0};
  std::atomic<int> written{0};
  std::atomic<int> gone{0};
  std::string tried;  // by the last /try, until its answer has ended
  std::atomic<int> left{0};
};

// The body of an answer that goes in chunks.
std::string Dechunk(const std::string& answer) {
  std::string body;
  size_t at = answer.find("\r\n\r\n") + 4;
  for (;;) {
    const size_t size = std::stoul(answer.substr(at, 16), nullptr, 16);
    if (size == 0) return body;
    at = answer.find("\r\n", at) + 2;
    body += answer.substr(at, size);
    EXPECT_EQ(answer.substr(at + size, 2), "\r\n");
    at += size + 2;
  }
}

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServerOptions options = {}) {
    auto server = HttpServer::Start(options, service_);
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  RawClient Raw(int receive_buffer = 0) { return RawClient(server_->port(), receive_buffer); }
  static std::string Post(const std::string& body) {
    return absl::StrCat("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ", body.size(),
                        "\r\n\r\n", body);
  }
  void WaitUntilGone(int count) {
    while (service_.gone < count) absl::SleepFor(absl::Milliseconds(1));
  }

  Echo service_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AHeaderMayNotBeTooLargeAltogether) {
  Start({.max_header_bytes = 8000});
  std::string many = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 10; ++i) {
    absl::StrAppend(&many, "X-", i, ": ", std::string(1000, 'y'), "\r\n");
  }
  RawClient client = Raw();
  client.Send(many + "\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 431"));
  RawClient fits = Raw();
  fits.Send(absl::StrCat("GET /echo HTTP/1.1\r\nX: ", std::string(5000, 'y'), "\r\n\r\n"));
  EXPECT_THAT(fits.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AHeaderThatDoesNotEndIsRefusedHoweverItDribbles) {
  Start({.header_timeout = absl::Milliseconds(300)});
  for (const std::string begin : {"GET /echo HTTP/1.1\r\n", "G"}) {
    RawClient client = Raw();
    client.Send(begin);
    std::atomic<bool> refused{false};
    std::thread dribble([&] {
      while (!refused && client.Send("X")) absl::SleepFor(absl::Milliseconds(20));
    });
    EXPECT_THAT(client.ReadUntil("malformed"), StartsWith("HTTP/1.1 408")) << begin;
    refused = true;
    dribble.join();
  }
  EXPECT_EQ(service_.screened, 0);
}

TEST_F(HttpServerTest, ABodyMayTakeLongIfItKeepsComing) {
  Start({.read_timeout = absl::Milliseconds(300), .min_body_rate = 1000});
  // 100 bytes every 20 ms: five times the rate that is asked for, for longer than the time-out.
  const std::string request = Post(std::string(3000, 'x'));
  const size_t head = request.find("\r\n\r\n") + 4;
  RawClient steady = Raw();
  steady.Send(request.substr(0, head));
  for (size_t at = head; at < request.size(); at += 100) {
    steady.Send(request.substr(at, 100));
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_THAT(steady.ReadUntil("x]"), StartsWith("HTTP/1.1 200"));
  // One that stops, and one that is too slow.
  RawClient silent = Raw();
  silent.Send(request.substr(0, head + 10));
  EXPECT_THAT(silent.ReadUntil("malformed"), StartsWith("HTTP/1.1 408"));
  RawClient slow = Raw();
  slow.Send(request.substr(0, head));
  std::atomic<bool> refused{false};
  std::thread dribble([&] {
    while (!refused && slow.Send("x")) absl::SleepFor(absl::Milliseconds(10));
  });
  EXPECT_THAT(slow.ReadUntil("malformed"), StartsWith("HTTP/1.1 408"));
  refused = true;
  dribble.join();
}

TEST_F(HttpServerTest, OneClientMayNotHaveAllConnections) {
  Start({.max_connections_per_client = 2});
  auto first = std::make_unique<RawClient>(server_->port());
  RawClient second = Raw();
  for (RawClient* client : {first.get(), &second}) {
    client->Send(kGet);
    EXPECT_THAT(client->ReadUntil("[]"), StartsWith("HTTP/1.1 200"));
  }
  {
    RawClient third = Raw();
    third.Send(kGet);
    const std::string answer = third.ReadAll();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 429"));
    EXPECT_THAT(answer, HasSubstr("Retry-After: 1"));
  }
  first.reset();
  std::string answer;
  while (!absl::StartsWith(answer, "HTTP/1.1 200")) {
    RawClient again = Raw();
    again.Send(kGet);
    answer = again.ReadUntil("[]");
  }
}

TEST_F(HttpServerTest, ARequestThatAsksToContinueIsScreenedOnce) {
  Start();
  RawClient client = Raw();
  client.Send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client.Send("hi");
  EXPECT_THAT(client.ReadUntil("[hi]"), HasSubstr("HTTP/1.1 200"));
  EXPECT_EQ(service_.screened, 1);
}

TEST_F(HttpServerTest, CutsConnectionsThatWouldHoldUpItsEnd) {
  Start({.write_timeout = absl::Hours(1)});
  RawClient client = Raw(/*receive_buffer=*/4096);
  client.Send("GET /stream HTTP/1.1\r\n\r\n");
  while (service_.written == 0) absl::SleepFor(absl::Milliseconds(1));
  server_->StopAccepting();
  server_->CutConnections();
  server_.reset();
  EXPECT_EQ(service_.gone, 1);
}

TEST_F(HttpServerTest, WhatIsTriedGoesInOrderWithWhatIsWritten) {
  Start();
  for (const bool old : {false, true}) {
    service_.tried.clear();
    service_.left = 0;
    RawClient client = Raw(/*receive_buffer=*/65536);
    client.Send(old ? "GET /try HTTP/1.0\r\n\r\n"
                    : "GET /try HTTP/1.1\r\nConnection: close\r\n\r\n");
    ASSERT_TRUE(service_.WaitUntilLeft());
    const std::string answer = client.ReadAll();
    const std::string body = old ? answer.substr(answer.find("\r\n\r\n") + 4) : Dechunk(answer);
    EXPECT_TRUE(body == service_.tried) << body.size() << " of " << service_.tried.size();
  }
}

class HttpsServerTest : public HttpServerTest {
 protected:
  // Starts with a certificate of `authority_`; `with_client_ca` asks for theirs.
  void StartTls(bool with_client_ca = false, HttpServerOptions options = {}) {
    WriteServer("first");
    ca_ = files_.Write("ca.pem", authority_.cert());
    TlsFiles tls;
    tls.cert = files_.path("cert.pem");
    tls.key = files_.path("key.pem");
    if (with_client_ca) tls.ca = ca_;
    auto context = TlsContext::Create(tls, absl::Milliseconds(2), [this](const absl::Status& s) {
      ++(s.ok() ? reloads_ : failed_reloads_);
    });
    ASSERT_OK(context);
    options.tls = *std::move(context);
    Start(options);
  }
  void WriteServer(const std::string& name) {
    const CertifiedKey issued = authority_.Issue(name);
    files_.Write("cert.pem", issued.cert);
    files_.Write("key.pem", issued.key);
  }
  // What a client with that certificate gets; it may be none.
  std::string AnswerTo(const CertifiedKey* own) {
    RawClient client = Raw();
    if (own == nullptr) {
      client.StartTls(ca_);
    } else {
      client.StartTls(ca_, files_.Write("client.pem", own->cert),
                      files_.Write("client-key.pem", own->key));
    }
    // With TLS 1.3 the client's side of the handshake ends before the server has looked.
    return client.Send(kGet) ? client.ReadUntil("[]") : "";
  }
  std::string ServedName() {
    RawClient client = Raw();
    return client.StartTls(ca_) ? client.ServerName() : "no handshake";
  }

  TestAuthority authority_{"authority"};
  TestAuthority stranger_{"stranger"};
  TestDirectory files_;
  std::string ca_;
  std::atomic<int> reloads_{0};
  std::atomic<int> failed_reloads_{0};
};

TEST_F(HttpsServerTest, ServesRequestsPipelinesAndKeepsAlive) {
  StartTls();
  RawClient client = Raw();
  ASSERT_TRUE(client.StartTls(ca_));
  client.Send(Post("one") + Post(std::string(100000, 'y')) + kGet);
  EXPECT_THAT(client.ReadUntil("[]"), HasSubstr("[one]"));
  client.Send(Post("two"));
  EXPECT_THAT(client.ReadUntil("[two]"), HasSubstr("[two]"));
  RawClient wary = Raw();
  EXPECT_FALSE(wary.StartTls(files_.Write("stranger.pem", stranger_.cert())));
}

TEST_F(HttpsServerTest, TellsAClientThatSpeaksPlainHttp) {
  StartTls();
  RawClient client = Raw();
  client.Send(kGet);
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400"));
  RawClient garbage = Raw();
  garbage.Send("\x16\x03\x01garbage that is no handshake");
  EXPECT_THAT(garbage.ReadAll(), Not(HasSubstr("HTTP")));
  EXPECT_EQ(ServedName(), "first");
}

TEST_F(HttpsServerTest, AHandshakeThatDoesNotEndIsCut) {
  StartTls(/*with_client_ca=*/false, {.header_timeout = absl::Milliseconds(200)});
  RawClient client = Raw();
  client.Send("\x16");
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(HttpsServerTest, LetsInOnlyClientsOfTheAuthority) {
  StartTls(/*with_client_ca=*/true);
  const CertifiedKey good = authority_.Issue("client");
  EXPECT_THAT(AnswerTo(&good), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(AnswerTo(nullptr), "");
  const CertifiedKey strange = stranger_.Issue("client");
  EXPECT_EQ(AnswerTo(&strange), "");
  const CertifiedKey old =
      authority_.Issue("client", {.begin = -absl::Hours(2), .end = -absl::Hours(1)});
  EXPECT_EQ(AnswerTo(&old), "");
}

TEST_F(HttpsServerTest, TakesANewCertificateAndKeepsTheOldOneWhenItIsBad) {
  StartTls();
  RawClient old = Raw();
  ASSERT_TRUE(old.StartTls(ca_));
  EXPECT_EQ(old.ServerName(), "first");
  // Between the two files the pair does not match; that may be seen, and does no harm.
  WriteServer("second");
  while (ServedName() == "first") absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(ServedName(), "second");
  const int failed = failed_reloads_;
  files_.Write("cert.pem", "nonsense");
  while (failed_reloads_ == failed) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(ServedName(), "second");
  // A connection that was open goes on.
  old.Send(Post("still here"));
  EXPECT_THAT(old.ReadUntil("[still here]"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpsServerTest, SeesAClientThatGoes) {
  StartTls();
  for (const char* path : {"/wait", "/stream"}) {
    RawClient client = Raw();
    ASSERT_TRUE(client.StartTls(ca_));
    client.Send(absl::StrCat("GET ", path, " HTTP/1.1\r\n\r\n"));
    absl::SleepFor(absl::Milliseconds(20));
    client.Close();
    WaitUntilGone(path == std::string("/wait") ? 1 : 2);
  }
}

TEST_F(HttpsServerTest, WhatIsTriedGoesInOrderWithWhatIsWritten) {
  StartTls();
  RawClient client = Raw(/*receive_buffer=*/65536);
  ASSERT_TRUE(client.StartTls(ca_));
  client.Send("GET /try HTTP/1.1\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(service_.WaitUntilLeft());
  const std::string body = Dechunk(client.ReadAll());
  EXPECT_TRUE(body == service_.tried) << body.size() << " of " << service_.tried.size();
}

TEST_F(HttpsServerTest, AClientThatReadsNothingIsCutOff) {
  StartTls(/*with_client_ca=*/false, {.write_timeout = absl::Milliseconds(300)});
  RawClient client = Raw(/*receive_buffer=*/4096);
  ASSERT_TRUE(client.StartTls(ca_));
  client.Send("GET /stream HTTP/1.1\r\n\r\n");
  WaitUntilGone(1);
}

TEST_F(HttpsServerTest, RefusesFilesNamingWhatIsWrong) {
  const CertifiedKey good = authority_.Issue("good");
  const CertifiedKey other = authority_.Issue("other");
  const CertifiedKey old =
      authority_.Issue("old", {.begin = -absl::Hours(2), .end = -absl::Hours(1)});
  const CertifiedKey early =
      authority_.Issue("early", {.begin = absl::Hours(1), .end = absl::Hours(2)});
  struct Case {
    std::string cert, key, text;
  };
  const std::vector<Case> cases = {
      {good.cert, "", "--tls-cert needs --tls-key"},
      {"", good.key, "--tls-key needs --tls-cert"},
      {"nonsense", good.key, "has no certificate in PEM form"},
      {good.cert, "nonsense", "has no private key in PEM form"},
      {good.cert, other.key, "is not the key of the certificate"},
      {old.cert, old.key, "expired at"},
      {early.cert, early.key, "is not valid before"},
  };
  const auto create = [](const TlsFiles& tls) {
    return TlsContext::Create(tls, absl::Seconds(1), [](const absl::Status&) {}).status();
  };
  for (const Case& c : cases) {
    TlsFiles tls;
    if (!c.cert.empty()) tls.cert = files_.Write("c.pem", c.cert);
    if (!c.key.empty()) tls.key = files_.Write("k.pem", c.key);
    EXPECT_THAT(create(tls), StatusIs(absl::StatusCode::kInvalidArgument, c.text));
  }
  TlsFiles missing;
  missing.cert = files_.path("none.pem");
  missing.key = files_.path("k.pem");
  EXPECT_THAT(create(missing), StatusIs(absl::StatusCode::kNotFound, "--tls-cert: cannot read"));
  TlsFiles only_ca;
  only_ca.ca = files_.Write("ca.pem", authority_.cert());
  EXPECT_THAT(create(only_ca),
              StatusIs(absl::StatusCode::kInvalidArgument, "--tls-client-ca needs --tls-cert"));
}

}  // namespace
}  // namespace vallm::gateway
