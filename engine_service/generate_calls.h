// The RPCs that generate for one request, as gRPC callback reactors over the engine.
#ifndef VALLM_ENGINE_SERVICE_GENERATE_CALLS_H_
#define VALLM_ENGINE_SERVICE_GENERATE_CALLS_H_

#include <grpcpp/support/server_callback.h>

#include "engine_service/call_context.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

// Start a call and give the reactor that gRPC drives; it deletes itself when the call is done. Each
// call leaves one line in the log.
grpc::ServerUnaryReactor* StartGenerate(const CallContext& context,
                                        grpc::CallbackServerContext& rpc,
                                        const v1::GenerateRequest& request,
                                        v1::GenerateResponse& response);
grpc::ServerWriteReactor<v1::GenerateChunk>* StartGenerateStream(
    const CallContext& context, grpc::CallbackServerContext& rpc,
    const v1::GenerateRequest& request);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_GENERATE_CALLS_H_
