// Asks a gRPC server for its health and its services as grpcurl would, without generated code (the
// distribution has none for these two protocols).
#ifndef VALLM_TESTS_TESTING_GRPC_PROBE_H_
#define VALLM_TESTS_TESTING_GRPC_PROBE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace vallm::testing {

// grpc.health.v1.Health/Check of `service` ("" for the whole server): "SERVING", "NOT_SERVING",
// "UNKNOWN", or the error's text. Waits up to 10 s for the server to come up.
std::string CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service);

// The answer of server reflection to "list services", undecoded: the names are in it as they are.
// Empty if reflection does not answer.
std::string ListServices(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_GRPC_PROBE_H_
