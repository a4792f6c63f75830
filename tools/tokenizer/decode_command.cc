#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/flags.h"
#include "common/status_macros.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tokenizer_service/output/detokenizer.h"
#include "tools/tokenizer/row_command.h"
#include "tools/tokenizer/tokenizer_command.h"

namespace vallm::tools {
namespace {

absl::StatusOr<nlohmann::ordered_json> DecodeRow(const tokenizer::Tokenizer& tokenizer,
                                                 const JsonRow& row) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, row.Ids("ids"));
  VALLM_ASSIGN_OR_RETURN(const auto skip, row.OptionalBool("skip_special_tokens"));
  tokenizer::Detokenizer detokenizer(tokenizer,
                                     {.skip_special_tokens = skip.value_or(false), .kept_ids = {}});
  std::vector<std::string> pieces;
  for (const int32_t id : ids) detokenizer.Append(id, &pieces.emplace_back());
  std::string flush;
  detokenizer.Flush(&flush);
  nlohmann::ordered_json out;
  out["text"] = tokenizer::Decode(tokenizer, ids, skip.value_or(false));
  out["stream"] = std::move(pieces);
  out["stream_flush"] = std::move(flush);
  return out;
}

}  // namespace

int RunTokenizerDecode(int argc, char** argv) {
  constexpr char kProgram[] = "vallm tokenizer decode";
  std::string model_dir;
  FlagParser flags(
      kProgram,
      "Decodes token ids. In: {\"id\", \"ids\", \"skip_special_tokens\" (false)}; out: "
      "{\"id\", \"text\", \"stream\" (what each id releases), \"stream_flush\"}.",
      "  echo '{\"id\": 1, \"ids\": [9707, 0]}' | vallm tokenizer decode --model "
      "./Qwen3-8B\n"
      "  vallm tokenizer decode --model ./Qwen3-8B < decode_cases.jsonl\n");
  flags.app().add_option("--model", model_dir, "Model directory (tokenizer.json)")->required();
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const auto loaded = tokenizer::Tokenizer::FromModelDir(model_dir);
  if (!loaded.ok()) return FailCommand(kProgram, loaded.status());
  return AnswerStdin(kProgram, [&](const JsonRow& row) { return DecodeRow(**loaded, row); });
}

}  // namespace vallm::tools
