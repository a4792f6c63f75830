#include "common/tls_flags.h"

namespace vallm {

void AddServerTlsFlags(CLI::App& app, const std::string& prefix, TlsFiles& files) {
  files.cert_flag = "--" + prefix + "tls-cert";
  files.key_flag = "--" + prefix + "tls-key";
  files.ca_flag = "--" + prefix + "tls-client-ca";
  app.add_option(files.cert_flag, files.cert,
                 "PEM file of the certificate to serve TLS with; read again when it changes");
  app.add_option(files.key_flag, files.key, "PEM file of its private key");
  app.add_option(files.ca_flag, files.ca,
                 "PEM file of authorities: clients must show a certificate of theirs (mTLS)");
}

void AddClientTlsFlags(CLI::App& app, const std::string& prefix, const std::string& peers,
                       TlsFiles& files) {
  files.cert_flag = "--" + prefix + "tls-cert";
  files.key_flag = "--" + prefix + "tls-key";
  files.ca_flag = "--" + prefix + "tls-ca";
  app.add_option(files.ca_flag, files.ca,
                 "PEM file of the authorities that certify " + peers + "; TLS is spoken with them");
  app.add_option(files.cert_flag, files.cert, "PEM file of the certificate to show to " + peers);
  app.add_option(files.key_flag, files.key, "PEM file of its private key");
  app.add_option("--" + prefix + "tls-server-name", files.server_name,
                 "Name that the certificates of " + peers +
                     " must have, where that is not the host of their address");
}

}  // namespace vallm
