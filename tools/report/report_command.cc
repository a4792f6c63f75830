#include "tools/report/report_command.h"

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "tools/report/page_server.h"
#include "tools/report/report_page.h"

namespace vallm::tools {
namespace {

constexpr char kProgram[] = "vallm report";
constexpr char kExamples[] =
    "  vallm report bench-sweep                     # writes bench-sweep/report.html\n"
    "  vallm report results --output results.html\n"
    "  vallm report results --serve 8080            # until Ctrl-C, always up to date\n";

struct Options {
  std::string folder;
  std::string output;
  std::optional<int> port;
  std::string host = "127.0.0.1";
};

absl::Status Report(const Options& options) {
  if (options.port.has_value()) {
    return ServePage(
        options.host, *options.port, [&] { return ReportPage(options.folder); },
        [&](int port) {
          std::printf("http://%s:%d/ shows %s until Ctrl-C\n", options.host.c_str(), port,
                      options.folder.c_str());
          std::fflush(stdout);
        });
  }
  VALLM_ASSIGN_OR_RETURN(const std::string page, ReportPage(options.folder));
  const std::string path =
      options.output.empty() ? absl::StrCat(options.folder, "/report.html") : options.output;
  std::ofstream file(path, std::ios::binary);
  file << page;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  std::printf("%s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace

int RunReport(int argc, char** argv) {
  Options options;
  FlagParser flags(kProgram,
                   "Writes one HTML page, which needs no other file, with tables and charts of the "
                   "results of bench and eval in a folder and the folders in it; or serves it.",
                   kExamples);
  CLI::App& app = flags.app();
  app.add_option("DIR,--dir", options.folder, "Folder with results")->required();
  app.add_option("--output", options.output, "The page (default: report.html in the folder)");
  app.add_option("--serve", options.port, "Serve it on this port instead; 0: a free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--host", options.host, "Address to serve it on")->capture_default_str();
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const absl::Status status = Report(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(status.message()).c_str());
  return absl::IsNotFound(status) ? 2 : 1;
}

}  // namespace vallm::tools
