#include "tools/hash_key/hash_key_command.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <optional>
#include <string>

#include "common/flags.h"
#include "gateway/access/key_hash.h"

namespace vallm::tools {
namespace {

constexpr char kExamples[] =
    "  vallm hash-key --generate --name open-webui >> keys.yaml\n"
    "  vallm hash-key --name ci < key.txt";

// Fewer characters than this can be guessed: the hash is fast.
constexpr size_t kShortKey = 20;

// The first line of standard input; a terminal does not show it.
std::string ReadKey() {
  termios shown = {};
  const bool terminal = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (terminal) {
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    std::cerr << "key: ";
  }
  std::string key;
  std::getline(std::cin, key);
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    std::cerr << "\n";
  }
  if (!key.empty() && key.back() == '\r') key.pop_back();
  return key;
}

}  // namespace

int RunHashKey(int argc, char** argv) {
  FlagParser parser("vallm hash-key",
                    "Prints the entry of --api-key-file for a key, which is read from standard "
                    "input so that no process list shows it.",
                    kExamples);
  std::string name = "NAME";
  bool generate = false;
  parser.app().add_option("--name", name, "What logs and metrics call the key");
  parser.app().add_flag("--generate", generate,
                        "Make a new key and print it on standard error, this once");
  if (const std::optional<int> exit_code = parser.Parse(argc, argv)) return *exit_code;
  std::string key = generate ? gateway::NewKey() : ReadKey();
  if (!gateway::IsFitKey(key)) {
    std::cerr << "vallm hash-key: a key must be printable ASCII without spaces, and not empty\n";
    return 1;
  }
  if (generate) std::cerr << "key: " << key << "\n";
  if (key.size() < kShortKey) {
    std::cerr << "vallm hash-key: a key of less than " << kShortKey
              << " characters can be guessed from its hash; --generate makes a good one\n";
  }
  std::cout << "  - name: " << name << "\n    key_sha256: "
            << gateway::FormatKeyHash(gateway::HashKey(key, gateway::NewSalt())) << "\n";
  gateway::WipeKey(key);
  return 0;
}

}  // namespace vallm::tools
