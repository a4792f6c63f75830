// TLS towards clients and towards the services.

#include "absl/strings/str_cat.h"
#include "gateway/routing/instance_sources.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/raw_client.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_certificates.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

class GatewayTlsTest : public GatewayFixture {
 protected:
  // Starts with a certificate of `authority_`.
  void StartTls() {
    const CertifiedKey issued = authority_.Issue("first");
    files_.Write("cert.pem", issued.cert);
    files_.Write("key.pem", issued.key);
    ca_ = files_.Write("ca.pem", authority_.cert());
    Start([&](auto& options) {
      options.tls.cert = files_.path("cert.pem");
      options.tls.key = files_.path("key.pem");
    });
  }
  RawClient Raw() { return RawClient(gateway_->port()); }

  static std::string Post(const Json& body) {
    const std::string text = body.dump();
    return absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ",
                        text.size(), "\r\n\r\n", text);
  }
  static Json StreamBody() {
    Json body = Chat();
    body["stream"] = true;
    return body;
  }
  std::string Metrics() {
    httplib::Client client("127.0.0.1", gateway_->management_port());
    return client.Get("/metrics")->body;
  }

  TestAuthority authority_{"authority"};
  TestAuthority stranger_{"stranger"};
  TestDirectory files_;
  std::string ca_;
};

TEST_F(GatewayTlsTest, ServesRequestsStreamsAndKeepAlive) {
  engine().SetScript({.tokens = Ids("abc")});
  StartTls();
  RawClient client = Raw();
  ASSERT_TRUE(client.StartTls(ca_));
  client.Send(Post(Chat()) + Post(StreamBody()));
  const std::string answer = client.ReadUntil("[DONE]\n\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("text/event-stream"));
  client.Send(kGet);
  EXPECT_THAT(client.ReadUntil("\"ok\""), HasSubstr("\"status\":\"ok\""));
  RawClient wary = Raw();
  EXPECT_FALSE(wary.StartTls(files_.Write("stranger.pem", stranger_.cert())));
}

TEST_F(GatewayTlsTest, ADisconnectIsNoticedWhileStreamingCollectingAndQueued) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  StartTls();
  int cancelled = 0;
  for (const bool stream : {true, false}) {
    RawClient client = Raw();
    ASSERT_TRUE(client.StartTls(ca_));
    client.Send(Post(stream ? StreamBody() : Chat()));
    ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
    RawClient queued = Raw();
    ASSERT_TRUE(queued.StartTls(ca_));
    queued.Send(Post(StreamBody()));
    const auto waiting = [this](const std::string& count) {
      return Metrics().find("queue_length{model_name=\"fake\"} " + count) != std::string::npos;
    };
    while (!waiting("1")) absl::SleepFor(absl::Milliseconds(2));
    queued.Close();
    while (!waiting("0")) absl::SleepFor(absl::Milliseconds(2));
    client.Close();
    EXPECT_TRUE(engine().WaitForCancelled(++cancelled, absl::Seconds(2)));
  }
  EXPECT_EQ(engine().requests().size(), 2u);
}

TEST_F(GatewayTlsTest, EnginesOfANameInDnsShowACertificateOfThatName) {
  const CertifiedKey issued = authority_.Issue("engines", {}, "DNS:localhost");
  TlsFiles tls;
  tls.cert = files_.Write("engine.pem", issued.cert);
  tls.key = files_.Write("engine.key", issued.key);
  FakeEngine engine(/*max_batch_size=*/4, /*max_model_len=*/4096, tls);
  gateway::InstancePoolOptions options;
  options.tls.ca = files_.Write("ca.pem", authority_.cert());
  gateway::InstancePool pool(options);
  const auto sources = gateway::InstanceSources::Start(
      pool, {.file = "", .dns_name = absl::StrCat("localhost:", engine.port())});
  ASSERT_OK(sources);
  EXPECT_OK(pool.GetModelInfo(absl::Seconds(10)));
}

TEST_F(GatewayTlsTest, RefusesToStartNamingWhatIsWrong) {
  const CertifiedKey good = authority_.Issue("good");
  gateway::GatewayOptions options;
  options.instances.addresses = {engine().address()};
  options.tls.cert = files_.path("none.pem");
  options.tls.key = files_.Write("k.pem", good.key);
  EXPECT_THAT(std::string(gateway::Gateway::Start(options).status().message()),
              HasSubstr("--tls-cert: cannot read"));
  options.tls = {};
  options.instances.tls.cert = files_.Write("c.pem", good.cert);
  options.instances.tls.key = options.tls.key;
  options.instances.tls.cert_flag = "--engine-tls-cert";
  options.instances.tls.ca_flag = "--engine-tls-ca";
  EXPECT_THAT(std::string(gateway::Gateway::Start(options).status().message()),
              HasSubstr("--engine-tls-cert needs --engine-tls-ca"));
}

}  // namespace
}  // namespace vallm::testing
