// The flags that name certificates and keys.
#ifndef VALLM_COMMON_TLS_FLAGS_H_
#define VALLM_COMMON_TLS_FLAGS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "common/tls_files.h"

namespace vallm {

// --PREFIXtls-cert, --PREFIXtls-key and --PREFIXtls-client-ca of a server. `files` must outlive
// `app`; its flag names are set, too.
void AddServerTlsFlags(CLI::App& app, const std::string& prefix, TlsFiles& files);

// --PREFIXtls-ca, --PREFIXtls-cert, --PREFIXtls-key and --PREFIXtls-server-name of a client;
// `peers` is whom it calls.
void AddClientTlsFlags(CLI::App& app, const std::string& prefix, const std::string& peers,
                       TlsFiles& files);

}  // namespace vallm

#endif  // VALLM_COMMON_TLS_FLAGS_H_
