// The flags of `vallm deploy`: those of `vallm serve`, those of the vendor's deploy.py that it has
// not, and how they are kept for later.
#ifndef VALLM_TOOLS_DEPLOY_DEPLOY_OPTIONS_H_
#define VALLM_TOOLS_DEPLOY_DEPLOY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/deploy/deployment.h"
#include "tools/serve/options.h"

namespace vallm::tools {

struct DeployOptions {
  ServeOptions serve;   // serve.engine.log_dir is empty: logs go to log_dir
  std::string runtime;  // "host", "docker" or "k8s"
  std::string image;
  std::string devices;  // "0-3,5,7"; empty: VACC_VISIBLE_DEVICES or all
  std::string name;
  std::string log_dir;  // empty: logs/ of the deployment
  int log_max_mib = 64;
  int log_keep = 5;
  // Of runtime k8s.
  std::string k8s_namespace = "vallm";
  std::string k8s_resource = "vastaitech.com/va";
  std::string k8s_model_claim;  // a PersistentVolumeClaim; empty: --model is a path on the nodes
  std::string output_dir;       // of the files that docker and k8s write; empty: the state dir

  // What this call does; not part of the deployment.
  std::string state_dir;
  bool dry_run = false;
  bool enable_benchmark = false;
  int benchmark_count = 5;
  double start_timeout_s = 3600;
};

// Adds the flags; parsing fills `options`, which must outlive `app`.
void AddDeployFlags(CLI::App& app, DeployOptions& options);

// Chooses runtime, device and name where they were not given, makes paths absolute, and moves
// --log-dir to its place. To be called once, on freshly parsed flags.
// Errors: INVALID_ARGUMENT naming the flag and what to do.
absl::Status FinishDeployOptions(const CLI::App& app, DeployOptions& options);

// The flags that make the deployment: all that were given by command line, file or environment,
// but those that are about one call. Paths are absolute. REQUIRES: FinishDeployOptions.
FlagValues GivenFlags(const CLI::App& app, const DeployOptions& options);

// The options of a record, as its flags say and nothing else: variables of the environment that
// would set flags are removed from it. Errors: INVALID_ARGUMENT when this version does not know
// the record's flags any more.
absl::StatusOr<DeployOptions> OptionsOf(const DeploymentRecord& record);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_DEPLOY_OPTIONS_H_
