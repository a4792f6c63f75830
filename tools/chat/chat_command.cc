#include "tools/chat/chat_command.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>

#include "common/flags.h"
#include "tools/chat/chat_client.h"

namespace vallm::tools {
namespace {

constexpr char kExamples[] =
    "  vallm chat\n"
    "  vallm chat --url http://server:8000/v1 --api-key secret --system \"Answer in French.\"\n"
    "  vallm chat --no-think --once \"What is 478 + 356?\"\n"
    "  echo \"Write a title for this text: ...\" | vallm chat\n";

constexpr char kDim[] = "\033[2m";
constexpr char kPlain[] = "\033[0m";

// Set by Ctrl-C: breaks off the answer, or ends the program where none is being written.
std::atomic<bool> g_interrupted = false;

void OnInterrupt(int) {
  if (g_interrupted.exchange(true)) _exit(130);  // the server does not answer: the second time
}

void InstallInterruptHandler() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;  // without SA_RESTART: reading a line ends as well
  sigaction(SIGINT, &action, nullptr);
}

// Writes an answer to stdout as it comes.
class AnswerPrinter {
 public:
  explicit AnswerPrinter(bool terminal) : terminal_(terminal) {}

  bool Print(bool thinking, std::string_view text) {
    if (thinking && !terminal_) return !g_interrupted;
    if (thinking != thinking_) {
      if (thinking) {
        std::fputs(kDim, stdout);
      } else {
        std::printf("%s\n\n", kPlain);
      }
      thinking_ = thinking;
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    printed_ = true;
    return !g_interrupted;
  }

  void Finish() {
    if (printed_) std::printf("%s\n", thinking_ ? kPlain : "");
    std::fflush(stdout);
  }

 private:
  const bool terminal_;
  bool thinking_ = false;
  bool printed_ = false;
};

// Asks once. Returns the exit code.
int Ask(ChatClient& client, const std::string& text, bool terminal) {
  AnswerPrinter printer(terminal);
  const auto answer = client.Send(
      text, [&](bool thinking, std::string_view piece) { return printer.Print(thinking, piece); });
  printer.Finish();
  if (!answer.ok()) {
    std::fprintf(stderr, "vallm chat: %s\n", std::string(answer.status().message()).c_str());
    return 1;
  }
  if (g_interrupted) {
    std::fprintf(stderr, "(stopped)\n");
  } else if (answer->finish_reason == "length") {
    std::fprintf(stderr, "(cut off: the token limit was reached)\n");
  }
  return 0;
}

int Converse(ChatClient& client) {
  std::printf("Talking to %s. /reset forgets the conversation; Ctrl-D or /exit ends it.\n",
              client.model().c_str());
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  while (true) {
    std::printf("\n> ");
    std::fflush(stdout);
    g_interrupted = false;
    std::string line;
    if (!std::getline(std::cin, line) || line == "/exit") break;
    if (line == "/reset") {
      client.Reset();
    } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
      std::printf("\n");
      Ask(client, line, terminal);
    }
  }
  std::printf("\n");
  return 0;
}

}  // namespace

int RunChat(int argc, char** argv) {
  ChatOptions options;
  std::string once;
  bool no_think = false;
  FlagParser flags("vallm chat",
                   "Chats with a running server. Reads questions from the terminal; with --once or "
                   "piped input asks one question, prints the answer and ends.",
                   kExamples);
  CLI::App& app = flags.app();
  app.add_option("--url", options.url, "Base URL of the OpenAI API; /v1 when it has no path")
      ->capture_default_str();
  app.add_option("--api-key", options.api_key, "Sent as a Bearer token");
  app.add_option("--model", options.model, "Model name (default: the first the server lists)");
  app.add_option("--system", options.system, "System message");
  app.add_flag("--no-think", no_think, "Ask the model to answer without thinking");
  app.add_option("--temperature", options.temperature, "Default: the model's")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-tokens", options.max_tokens, "Default: what fits")
      ->check(CLI::PositiveNumber);
  app.add_option("--once", once, "Ask this and end");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  options.think = !no_think;
  if (once.empty() && isatty(STDIN_FILENO) == 0) {
    once.assign(std::istreambuf_iterator<char>(std::cin), {});
    while (!once.empty() && once.back() == '\n') once.pop_back();
    if (once.empty()) {
      std::fprintf(stderr, "vallm chat: nothing to ask: the input is empty\n");
      return 2;
    }
  }
  InstallInterruptHandler();
  auto client = ChatClient::Connect(std::move(options));
  if (!client.ok()) {
    std::fprintf(stderr, "vallm chat: %s\n%s", std::string(client.status().message()).c_str(),
                 absl::IsUnavailable(client.status()) ? "Is 'vallm serve' running?\n" : "");
    return 1;
  }
  if (!once.empty()) return Ask(*client, once, isatty(STDOUT_FILENO) != 0);
  return Converse(*client);
}

}  // namespace vallm::tools
