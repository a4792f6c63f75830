#include "tools/serve/service_summary.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine_service/device/device.h"
#include "tools/serve/probe_targets.h"
#include "tools/serve/readiness.h"

namespace vallm::tools {
namespace {

// How much the slots of one instance share, and whether it is enough for all of them.
std::string KvPoolText(const EngineSummary& engine) {
  const int64_t block = engine::kKvBlockSize;
  const int64_t context = (engine.max_model_len + block - 1) / block * block;
  const int64_t contexts = engine.kv_cache_tokens / std::max<int64_t>(context, 1);
  return absl::StrCat(
      engine.kv_cache_tokens, " tokens = ", contexts, " full contexts for ", engine.max_batch_size,
      " slots",
      contexts < engine.max_batch_size ? "; long requests may have to give way to each other" : "");
}

}  // namespace

std::string ServiceSummary(const ServeOptions& options, const InternalPorts& ports) {
  std::string summary;
  const auto line = [&summary](const char* name, const std::string& value) {
    absl::StrAppendFormat(&summary, "  %-12s %s\n", name, value);
  };
  const std::string base = absl::StrCat("://", ReachableHost(options.host), ":");
  const auto key_file = options.gateway_flags.find("--api-key-file");
  const bool asks_for_key = !options.api_keys.empty() ||
                            (key_file != options.gateway_flags.end() && !key_file->second.empty());
  line("API", absl::StrCat(SpeaksTls(options) ? "https" : "http", base, options.port, "/v1",
                           asks_for_key ? " (API key required)" : ""));
  line("management", absl::StrCat("http", base, options.management_port, "/"));
  line("model", absl::StrJoin(options.served_model_names, ", "));
  const auto engine = DescribeEngine(absl::StrCat("127.0.0.1:", ports.engines.front()));
  if (engine.ok()) {
    line("engine", absl::StrCat(engine->architecture, " on ", engine->device, ", tensor parallel ",
                                engine->tensor_parallel_size));
    line("context",
         absl::StrCat(engine->max_model_len, " tokens, prompt up to ", engine->max_input_len));
    line("slots",
         absl::StrCat(ports.engines.size(), ports.engines.size() == 1 ? " instance" : " instances",
                      " x ", engine->max_batch_size, " requests at a time"));
    line("KV pool", KvPoolText(*engine));
  }
  std::vector<std::string> engines;
  for (int port : ports.engines) engines.push_back(absl::StrCat("127.0.0.1:", port));
  line("gRPC", absl::StrCat("tokenizer 127.0.0.1:", ports.tokenizer, ", engines ",
                            absl::StrJoin(engines, " ")));
  return summary;
}

}  // namespace vallm::tools
