#include "gateway/tls_context.h"

#include <openssl/err.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

// We speak HTTP/1.1 and nothing else; a client that names protocols must have that among them.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned in_size, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  constexpr unsigned kSize = sizeof(kHttp11) - 1;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, kSize, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

absl::Status Failure(const std::string& flag, const std::string& path) {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", path, ": ", reason == nullptr ? "cannot be used" : reason));
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeContext(const TlsFiles& files) {
  VALLM_RETURN_IF_ERROR(CheckTlsFiles(files, absl::Now()));
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection keeps no buffers. A partial write is reported, so that every byte that goes
  // counts as progress.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
    return Failure(files.cert_flag, files.cert);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Failure(files.key_flag, files.key);
  }
  // A session's ticket would let a client in again after its certificate has expired.
  static constexpr unsigned char kSessionContext[] = "vallm";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof(kSessionContext) - 1);
  if (files.ca.empty()) return context;
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (SSL_CTX_load_verify_file(context.get(), files.ca.c_str()) != 1) {
    return Failure(files.ca_flag, files.ca);
  }
  SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(files.ca.c_str()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Create(
    const TlsFiles& files, absl::Duration reload_interval,
    std::function<void(const absl::Status&)> on_reload) {
  if (files.cert.empty() && files.key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.ca_flag, " needs ", files.cert_flag));
  }
  auto context = std::unique_ptr<TlsContext>(new TlsContext(files));
  // Watched before they are read: no change goes unseen.
  auto watcher = std::make_unique<FileWatcher>(
      files.paths(), reload_interval,
      [context = context.get(), on_reload = std::move(on_reload)] { on_reload(context->Load()); });
  VALLM_RETURN_IF_ERROR(context->Load());
  context->watcher_ = std::move(watcher);
  return context;
}

absl::Status TlsContext::Load() {
  VALLM_ASSIGN_OR_RETURN(std::shared_ptr<SSL_CTX> context, MakeContext(files_));
  MutexLock lock(mu_);
  context_ = std::move(context);
  return absl::OkStatus();
}

std::shared_ptr<SSL_CTX> TlsContext::current() const {
  MutexLock lock(mu_);
  return context_;
}

}  // namespace vallm::gateway
