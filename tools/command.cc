#include "tools/command.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "common/version.h"

namespace vallm::tools {
namespace {

void PrintHelp(std::FILE* out, const char* program, const char* description,
               std::span<const Command> commands) {
  std::fprintf(out, "%s\nUsage: %s COMMAND [OPTIONS]\n\nCommands:\n", description, program);
  for (const Command& command : commands) {
    std::fprintf(out, "  %-20s%s\n", command.name, command.summary);
  }
  std::fprintf(out, "\n'%s COMMAND --help' explains a command and shows examples.\n", program);
}

// Levenshtein distance: small words only.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

void PrintUnknown(const char* program, std::string_view name, std::span<const Command> commands) {
  std::fprintf(stderr, "%s: unknown command '%.*s'", program, static_cast<int>(name.size()),
               name.data());
  const auto nearest =
      std::min_element(commands.begin(), commands.end(), [&](const Command& a, const Command& b) {
        return EditDistance(name, a.name) < EditDistance(name, b.name);
      });
  if (nearest != commands.end() && EditDistance(name, nearest->name) <= 2) {
    std::fprintf(stderr, "; did you mean '%s'?", nearest->name);
  }
  std::fprintf(stderr, "\nCommands:");
  for (const Command& command : commands) std::fprintf(stderr, " %s", command.name);
  std::fprintf(stderr, ". See '%s --help'.\n", program);
}

}  // namespace

int Dispatch(const char* program, const char* description, std::span<const Command> commands,
             int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name.empty()) {
    PrintHelp(stderr, program, description, commands);
    return 2;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    PrintHelp(stdout, program, description, commands);
    return 0;
  }
  if (name == "--version") {
    std::printf("vallm %s\n", kVersion);
    return 0;
  }
  for (const Command& command : commands) {
    if (name == command.name) return command.run(argc - 1, argv + 1);
  }
  PrintUnknown(program, name, commands);
  return 2;
}

}  // namespace vallm::tools
