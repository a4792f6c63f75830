// Certificates for tests of TLS, made on the spot: authorities and what they sign.
#ifndef VALLM_TESTS_TESTING_TEST_CERTIFICATES_H_
#define VALLM_TESTS_TESTING_TEST_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace vallm::testing {

// PEM texts.
struct CertifiedKey {
  std::string cert;
  std::string key;
};

// How far from now a certificate begins and ends to be valid.
struct Validity {
  absl::Duration begin = -absl::Hours(1);
  absl::Duration end = absl::Hours(1);
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();

  const std::string& cert() const { return cert_; }  // PEM
  // For servers and clients alike, of `hosts`, as openssl.cnf has them.
  CertifiedKey Issue(const std::string& name, const Validity& validity = {},
                     const std::string& hosts = "DNS:localhost,IP:127.0.0.1");

 private:
  EVP_PKEY* const key_;
  X509* const self_;
  std::string cert_;
  int serial_ = 1;
};

// A directory of its own for each test, removed with it.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  // The path of a file with that text, replaced at once if it was there.
  std::string Write(const std::string& name, const std::string& text) const;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_TEST_CERTIFICATES_H_
