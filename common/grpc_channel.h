// Client channels with the limits and keepalive that GrpcServer expects.
#ifndef VALLM_COMMON_GRPC_CHANNEL_H_
#define VALLM_COMMON_GRPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace vallm {

// A request carries a conversation as JSON and its tokens: far below this.
inline constexpr int kMaxGrpcMessageBytes = 64 << 20;

// A lazily connecting channel to "host:port" or "unix:/path". It reconnects with a back-off of at
// most one second, so that a restarted service is found again quickly, and notices a dead peer by
// pings. Never fails: calls on it return UNAVAILABLE while there is no connection.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address);

}  // namespace vallm

#endif  // VALLM_COMMON_GRPC_CHANNEL_H_
