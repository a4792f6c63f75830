// Client channels with the limits and keepalive that GrpcServer expects.
#ifndef VALLM_COMMON_GRPC_CHANNEL_H_
#define VALLM_COMMON_GRPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "common/tls_files.h"

namespace vallm {

// A request carries a conversation as JSON and its tokens: far below this.
inline constexpr int kMaxGrpcMessageBytes = 64 << 20;
// How often certificates are looked at for changes.
inline constexpr unsigned kTlsReloadSeconds = 1;

// A lazily connecting channel to "host:port" or "unix:/path". It reconnects with a back-off of at
// most one second, so that a restarted service is found again quickly, and notices a dead peer by
// pings. Never fails: calls on it return UNAVAILABLE while there is no connection.
//
// With `tls.ca` it speaks TLS, unless over a unix socket: the peer must be certified by one of
// those authorities, for the host of `address` or for `tls.server_name`. With cert and key it shows
// its own. All are read again when they change. CheckTlsFiles says beforehand what is wrong with
// them.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address, const TlsFiles& tls = {});

}  // namespace vallm

#endif  // VALLM_COMMON_GRPC_CHANNEL_H_
