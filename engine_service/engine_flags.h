// The command-line options of an engine, once for vallm-engine and for tools that embed one.
#ifndef VALLM_ENGINE_SERVICE_ENGINE_FLAGS_H_
#define VALLM_ENGINE_SERVICE_ENGINE_FLAGS_H_

#include <CLI/CLI.hpp>

#include "engine_service/engine_options.h"

namespace vallm::engine {

// Adds options that fill `options` when parsed: everything but --model, --name and --log-dir.
// `options` must outlive the parsing.
void AddEngineFlags(CLI::App& app, EngineOptions& options);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_ENGINE_FLAGS_H_
