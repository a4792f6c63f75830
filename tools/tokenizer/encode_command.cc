#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/flags.h"
#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/tokenizer/row_command.h"
#include "tools/tokenizer/tokenizer_command.h"

namespace vallm::tools {
namespace {

std::optional<std::string> FromHex(std::string_view hex) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

absl::StatusOr<std::string> TextOf(const JsonRow& row) {
  if (!row.Has("bytes_hex")) return row.String("text");
  VALLM_ASSIGN_OR_RETURN(const std::string hex, row.String("bytes_hex"));
  std::optional<std::string> bytes = FromHex(hex);
  if (!bytes) return absl::InvalidArgumentError("'bytes_hex' must be pairs of hex digits");
  return *std::move(bytes);
}

}  // namespace

int RunTokenizerEncode(int argc, char** argv) {
  constexpr char kProgram[] = "vallm tokenizer encode";
  std::string model_dir;
  bool literal = false;
  FlagParser flags(kProgram,
                   "Encodes text. In: {\"id\", \"text\"} or {\"id\", \"bytes_hex\"}; out: {\"id\", "
                   "\"ids\"}. Text that is not UTF-8 is an error that names the offset.",
                   "  echo '{\"id\": 1, \"text\": \"Hello\"}' | vallm tokenizer encode --model "
                   "./Qwen3-8B\n"
                   "  vallm tokenizer encode --model ./Qwen3-8B < tokenizer_cases.jsonl\n");
  flags.app().add_option("--model", model_dir, "Model directory (tokenizer.json)")->required();
  flags.app().add_flag("--literal-special-tokens", literal,
                       "Encode \"<|im_end|>\" and the like as the characters they consist of");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const auto loaded = tokenizer::Tokenizer::FromModelDir(model_dir);
  if (!loaded.ok()) return FailCommand(kProgram, loaded.status());
  return AnswerStdin(kProgram, [&](const JsonRow& row) -> absl::StatusOr<nlohmann::ordered_json> {
    VALLM_ASSIGN_OR_RETURN(const std::string text, TextOf(row));
    VALLM_ASSIGN_OR_RETURN(auto ids, (*loaded)->Encode(text, {.parse_special_tokens = !literal}));
    return nlohmann::ordered_json{{"ids", std::move(ids)}};
  });
}

}  // namespace vallm::tools
