// The certificate of one HTTP port, read again when its files change, as cert-manager changes them.
// Thread-safe.
#ifndef VALLM_GATEWAY_TLS_CONTEXT_H_
#define VALLM_GATEWAY_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file_watcher.h"
#include "common/mutex.h"
#include "common/tls_files.h"

namespace vallm::gateway {

class TlsContext {
 public:
  // With `files.ca` clients must show a certificate that comes from it. `on_reload` is told from
  // the watching thread how reading changed files went; after an error all stays as it was.
  // Errors: those of CheckTlsFiles.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Create(
      const TlsFiles& files, absl::Duration reload_interval,
      std::function<void(const absl::Status&)> on_reload);

  // For the next connection: TLS 1.2 or later, HTTP/1.1.
  std::shared_ptr<SSL_CTX> current() const;

 private:
  explicit TlsContext(const TlsFiles& files) : files_(files) {}
  absl::Status Load();

  const TlsFiles files_;
  mutable Mutex mu_;
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<FileWatcher> watcher_;  // last: stops before the rest goes
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_TLS_CONTEXT_H_
