// What the calls of the engine's RPCs work with.
#ifndef VALLM_ENGINE_SERVICE_CALL_CONTEXT_H_
#define VALLM_ENGINE_SERVICE_CALL_CONTEXT_H_

#include "engine_service/engine.h"
#include "engine_service/engine_metrics.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {

// All must outlive the calls.
struct CallContext {
  Engine& engine;
  EngineMetrics& metrics;
  const tokenizer::Tokenizer* tokenizer;  // may be null
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CALL_CONTEXT_H_
