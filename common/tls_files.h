// Certificates and keys in PEM files, as flags name them, and what can be said of them before they
// are used. Thread-safe.
#ifndef VALLM_COMMON_TLS_FILES_H_
#define VALLM_COMMON_TLS_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vallm {

// Empty names: not given.
struct TlsFiles {
  std::string cert;         // our certificate, followed by those between it and a root
  std::string key;          // its private key
  std::string ca;           // those that the peer's certificate must come from
  std::string server_name;  // that a server's certificate must have; empty: its address
  // What errors call them, e.g. "--tls-cert".
  std::string cert_flag = "--tls-cert";
  std::string key_flag = "--tls-key";
  std::string ca_flag = "--tls-client-ca";

  bool empty() const { return cert.empty() && key.empty() && ca.empty(); }
  // Those that are given, to watch.
  std::vector<std::string> paths() const;
};

// Errors: INVALID_ARGUMENT when one of cert and key is missing, a file is not PEM, the key does not
// belong to the certificate, or a certificate is not valid at `now`; those of reading a file. They
// name the flag and the file.
absl::Status CheckTlsFiles(const TlsFiles& files, absl::Time now);

}  // namespace vallm

#endif  // VALLM_COMMON_TLS_FILES_H_
