#include "tests/testing/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace vallm::testing {
namespace {

template <typename Write>
std::string Pem(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string PemOf(X509* cert) {
  return Pem([cert](BIO* bio) { PEM_write_bio_X509(bio, cert); });
}

void AddExtension(X509* cert, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* NewCertificate(EVP_PKEY* key, const std::string& name, int serial, const Validity& validity) {
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
  X509_gmtime_adj(X509_getm_notBefore(cert), absl::ToInt64Seconds(validity.begin));
  X509_gmtime_adj(X509_getm_notAfter(cert), absl::ToInt64Seconds(validity.end));
  X509_set_pubkey(cert, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return cert;
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name)
    : key_(EVP_EC_gen("P-256")), self_(NewCertificate(key_, name, serial_, {})) {
  X509_set_issuer_name(self_, X509_get_subject_name(self_));
  AddExtension(self_, self_, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(self_, self_, NID_key_usage, "critical,keyCertSign");
  AddExtension(self_, self_, NID_subject_key_identifier, "hash");
  X509_sign(self_, key_, EVP_sha256());
  cert_ = PemOf(self_);
}

TestAuthority::~TestAuthority() {
  X509_free(self_);
  EVP_PKEY_free(key_);
}

CertifiedKey TestAuthority::Issue(const std::string& name, const Validity& validity,
                                  const std::string& hosts) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* cert = NewCertificate(key, name, ++serial_, validity);
  X509_set_issuer_name(cert, X509_get_subject_name(self_));
  AddExtension(cert, self_, NID_basic_constraints, "CA:FALSE");
  AddExtension(cert, self_, NID_subject_alt_name, hosts.c_str());
  AddExtension(cert, self_, NID_ext_key_usage, "serverAuth,clientAuth");
  X509_sign(cert, key_, EVP_sha256());
  CertifiedKey issued = {.cert = PemOf(cert), .key = Pem([key](BIO* bio) {
                                                PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr,
                                                                         0, nullptr, nullptr);
                                              })};
  X509_free(cert);
  EVP_PKEY_free(key);
  return issued;
}

TestDirectory::TestDirectory() {
  std::string name = ::testing::TempDir() + "/vallm-XXXXXX";
  path_ = ::mkdtemp(name.data());
}

TestDirectory::~TestDirectory() { std::filesystem::remove_all(path_); }

std::string TestDirectory::Write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name + ".new")) << text;
  std::filesystem::rename(path(name + ".new"), path(name));
  return path(name);
}

}  // namespace vallm::testing
