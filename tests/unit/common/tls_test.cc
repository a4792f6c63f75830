#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_channel.h"
#include "common/grpc_server.h"
#include "common/tls_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_certificates.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TestAuthority;
using testing::TestDirectory;

class Named final : public v1::Engine::Service {
  grpc::Status GetModelInfo(grpc::ServerContext*, const v1::GetModelInfoRequest*,
                            v1::ModelInfo* info) override {
    info->set_model_path("here");
    return grpc::Status::OK;
  }
};

class GrpcTlsTest : public ::testing::Test {
 protected:
  // Starts the server with TLS; `with_ca` asks for clients' certificates.
  void Start(bool with_ca) {
    WriteServer(authority_);
    tls_.cert = files_.path("cert.pem");
    tls_.key = files_.path("key.pem");
    if (with_ca) tls_.ca = files_.Write("ca.pem", authority_.cert());
    auto server = GrpcServer::Start("127.0.0.1:0", {{"vallm.v1.Engine", &service_}}, tls_);
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  void WriteServer(TestAuthority& authority) {
    const auto issued = authority.Issue("server");
    files_.Write("cert.pem", issued.cert);
    files_.Write("key.pem", issued.key);
  }
  // A client that trusts `ca` and shows a certificate of `own`, if that is given.
  TlsFiles Client(TestAuthority& ca, TestAuthority* own = nullptr) {
    TlsFiles tls;
    tls.ca = files_.Write(absl::StrCat("client-ca-", ++made_, ".pem"), ca.cert());
    if (own != nullptr) {
      const auto issued = own->Issue("client");
      tls.cert = files_.Write(absl::StrCat("client-", made_, ".pem"), issued.cert);
      tls.key = files_.Write(absl::StrCat("client-key-", made_, ".pem"), issued.key);
    }
    return tls;
  }
  grpc::Status Call(const TlsFiles& tls, const std::string& host = "127.0.0.1") {
    const auto stub =
        v1::Engine::NewStub(NewChannel(absl::StrCat(host, ":", server_->port()), tls));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::ModelInfo info;
    return stub->GetModelInfo(&context, {}, &info);
  }

  TestAuthority authority_{"authority"};
  TestAuthority stranger_{"stranger"};
  TestDirectory files_;
  TlsFiles tls_;
  Named service_;
  std::unique_ptr<GrpcServer> server_;
  int made_ = 0;
};

TEST_F(GrpcTlsTest, ClientsMustTrustTheServersAuthority) {
  Start(/*with_ca=*/false);
  const grpc::Status good = Call(Client(authority_));
  EXPECT_TRUE(good.ok()) << good.error_message();
  EXPECT_EQ(Call(Client(stranger_)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call({}).error_code(), grpc::StatusCode::UNAVAILABLE) << "plain";
}

TEST_F(GrpcTlsTest, TheServersNameIsChecked) {
  Start(/*with_ca=*/false);
  EXPECT_TRUE(Call(Client(authority_), "localhost").ok());
  TlsFiles wrong = Client(authority_);
  wrong.server_name = "elsewhere";
  EXPECT_EQ(Call(wrong).error_code(), grpc::StatusCode::UNAVAILABLE);
  TlsFiles right = Client(authority_);
  right.server_name = "localhost";
  EXPECT_TRUE(Call(right).ok());
}

TEST_F(GrpcTlsTest, ClientsMustBeOfTheAuthorityIfOneIsAskedFor) {
  Start(/*with_ca=*/true);
  const grpc::Status good = Call(Client(authority_, &authority_));
  EXPECT_TRUE(good.ok()) << good.error_message();
  EXPECT_EQ(Call(Client(authority_)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(Client(authority_, &stranger_)).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcTlsTest, ANewCertificateIsUsedForNewConnections) {
  Start(/*with_ca=*/false);
  const TlsFiles trusts_new = Client(stranger_);
  EXPECT_FALSE(Call(trusts_new).ok());
  WriteServer(stranger_);
  while (!Call(trusts_new).ok()) absl::SleepFor(absl::Milliseconds(100));
}

TEST_F(GrpcTlsTest, RefusesWhatCannotWork) {
  const auto issued = authority_.Issue("server");
  TlsFiles tls;
  tls.cert = files_.Write("cert.pem", issued.cert);
  const auto start = [&](const std::string& address) {
    return GrpcServer::Start(address, {{"vallm.v1.Engine", &service_}}, tls).status();
  };
  EXPECT_THAT(start("127.0.0.1:0"),
              StatusIs(absl::StatusCode::kInvalidArgument, "--tls-cert needs --tls-key"));
  tls.key = files_.Write("key.pem", authority_.Issue("other").key);
  EXPECT_THAT(start("127.0.0.1:0"),
              StatusIs(absl::StatusCode::kInvalidArgument, "is not the key of the certificate"));
  files_.Write("key.pem", issued.key);
  tls.ca = files_.path("missing.pem");
  EXPECT_THAT(start("127.0.0.1:0"),
              StatusIs(absl::StatusCode::kNotFound, "--tls-client-ca: cannot read"));
  tls.ca = "";
  EXPECT_THAT(start("unix:" + files_.path("socket")),
              StatusIs(absl::StatusCode::kInvalidArgument, "has no use on a unix socket"));
}

TEST_F(GrpcTlsTest, ADamagedChainIsFound) {
  const auto issued = authority_.Issue("server");
  TlsFiles tls;
  tls.key = files_.Write("key.pem", issued.key);
  tls.cert = files_.Write("cert.pem", issued.cert + authority_.cert());
  EXPECT_OK(CheckTlsFiles(tls, absl::Now()));
  std::string damaged = authority_.cert();
  damaged[damaged.size() / 2] = '!';
  files_.Write("cert.pem", issued.cert + damaged);
  EXPECT_THAT(CheckTlsFiles(tls, absl::Now()),
              StatusIs(absl::StatusCode::kInvalidArgument, "damaged"));
}

}  // namespace
}  // namespace vallm
