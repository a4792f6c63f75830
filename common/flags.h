// Command lines, the same way in every binary: CLI11 options that can also come from a YAML file
// (`--config`) or the environment. Precedence: command line, then file, then environment.
//
//   struct Options { std::string model; int port = 8000; };
//   Options options;
//   FlagParser flags("vallm-engine", "Serves a model over gRPC.");
//   flags.app().add_option("--model", options.model, "Model directory")->required();
//   flags.app().add_option("--port", options.port, "Port")->check(CLI::Range(0, 65535));
//   if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
//
// Every `--long-name` can be set by the environment variable VALLM_LONG_NAME and by the YAML key
// `long-name` or `long_name`; a list in YAML fills a repeatable option. An unknown key is an error.
// Variables with a value like tcp://10.0.0.1:8000 are ignored: Kubernetes sets them for a Service
// called "vallm".
#ifndef VALLM_COMMON_FLAGS_H_
#define VALLM_COMMON_FLAGS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace vallm {

// A check for flags in seconds: 0 to a year. CLI11's own ranges let NaN through.
CLI::Validator Timeout();

class FlagParser {
 public:
  // Adds --help, --version and --config. `examples` is printed below the help: whole command
  // lines, one per line.
  FlagParser(const std::string& program, const std::string& description,
             const std::string& examples = "");

  CLI::App& app() { return app_; }

  // Parses. Returns the exit code when the process should end now: 0 after --help or --version
  // (printed to stdout), 2 after a usage error (printed to stderr).
  std::optional<int> Parse(int argc, char** argv);

 private:
  CLI::App app_;
};

}  // namespace vallm

#endif  // VALLM_COMMON_FLAGS_H_
