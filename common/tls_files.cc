#include "common/tls_files.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/file_watcher.h"
#include "common/status_macros.h"

namespace vallm {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using PrivateKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

absl::Status Wrong(const std::string& flag, const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", path, " ", what));
}

Bio BytesOf(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm fields = {};
  ASN1_TIME_to_tm(time, &fields);
  return absl::FromTimeT(::timegm(&fields));
}

// The first certificate of the file; those behind it are read as well, to see that they can be.
absl::StatusOr<Certificate> ReadCertificates(const std::string& flag, const std::string& path) {
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(flag, path));
  const Bio bio = BytesOf(text);
  ERR_clear_error();
  Certificate first(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (first == nullptr) return Wrong(flag, path, "has no certificate in PEM form");
  for (;;) {
    const Certificate next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (next == nullptr) break;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return Wrong(flag, path, "has a certificate that is damaged");
  return first;
}

absl::Status CheckPeriod(const std::string& flag, const std::string& path, const X509& certificate,
                         absl::Time now) {
  const absl::Time begin = ToTime(X509_get0_notBefore(&certificate));
  const absl::Time end = ToTime(X509_get0_notAfter(&certificate));
  if (now > end) {
    return Wrong(flag, path,
                 absl::StrCat("expired at ", absl::FormatTime(end, absl::UTCTimeZone())));
  }
  if (now < begin) {
    return Wrong(
        flag, path,
        absl::StrCat("is not valid before ", absl::FormatTime(begin, absl::UTCTimeZone())));
  }
  return absl::OkStatus();
}

absl::Status CheckPair(const TlsFiles& files, absl::Time now) {
  if (files.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.cert_flag, " needs ", files.key_flag));
  }
  if (files.cert.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.key_flag, " needs ", files.cert_flag));
  }
  VALLM_ASSIGN_OR_RETURN(const Certificate certificate,
                         ReadCertificates(files.cert_flag, files.cert));
  VALLM_ASSIGN_OR_RETURN(const std::string text, ReadFile(files.key_flag, files.key));
  // A key with a pass phrase would make OpenSSL ask for it at the terminal.
  const auto no_phrase = [](char*, int, int, void*) { return 0; };
  const PrivateKey key(PEM_read_bio_PrivateKey(BytesOf(text).get(), nullptr, no_phrase, nullptr),
                       EVP_PKEY_free);
  ERR_clear_error();
  if (key == nullptr) {
    return Wrong(files.key_flag, files.key, "has no private key in PEM form without a pass phrase");
  }
  const bool match = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!match) {
    return Wrong(files.key_flag, files.key,
                 absl::StrCat("is not the key of the certificate in ", files.cert));
  }
  return CheckPeriod(files.cert_flag, files.cert, *certificate, now);
}

}  // namespace

std::vector<std::string> TlsFiles::paths() const {
  std::vector<std::string> paths;
  for (const std::string* path : {&cert, &key, &ca}) {
    if (!path->empty()) paths.push_back(*path);
  }
  return paths;
}

absl::Status CheckTlsFiles(const TlsFiles& files, absl::Time now) {
  if (!files.cert.empty() || !files.key.empty()) VALLM_RETURN_IF_ERROR(CheckPair(files, now));
  if (files.ca.empty()) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const Certificate ca, ReadCertificates(files.ca_flag, files.ca));
  return CheckPeriod(files.ca_flag, files.ca, *ca, now);
}

}  // namespace vallm
