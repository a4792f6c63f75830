#include "tools/make_model/make_model.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "engine_service/model/config.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/make_model/checkpoint_writer.h"
#include "tools/make_model/config_files.h"
#include "tools/make_model/random_tokenizer.h"
#include "tools/make_model/tensors.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kOtherFilesBytes = 32 << 20;  // tokenizer, index, headers: less than that
constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "tokenizer_config.json", "vocab.json",
                                           "merges.txt", "chat_template.jinja"};

absl::Status FileError(const std::error_code& error, const std::string& what) {
  return absl::ErrnoToStatus(error.value(), what);
}

absl::Status ReadFile(const fs::path& path, std::string& text) {
  std::ifstream file(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path.string()));
  return absl::OkStatus();
}

absl::Status WriteTextFile(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (file.flush()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path.string()));
}

// The tokenizer files of another model, those that it has.
absl::StatusOr<TextFiles> CopyOfTokenizer(const std::string& model_dir) {
  TextFiles files;
  for (const char* name : kTokenizerFiles) {
    const fs::path path = fs::path(model_dir) / name;
    const bool needed = name == kTokenizerFiles[0];
    if (!needed && !fs::exists(path)) continue;
    files.emplace_back(name, "");
    VALLM_RETURN_IF_ERROR(ReadFile(path, files.back().second));
  }
  return files;
}

absl::StatusOr<TextFiles> TokenizerFiles(const MakeModelOptions& options) {
  if (!options.tokenizer_from.empty()) return CopyOfTokenizer(options.tokenizer_from);
  return MakeTokenizerFiles(options.architecture.vocab_size,
                            options.architecture.max_position_embeddings);
}

// What config.json must say of the tokenizer, which must fit the model.
absl::StatusOr<SpecialTokenIds> FindSpecialTokens(const std::string& tokenizer_json,
                                                  int64_t vocab_size) {
  VALLM_ASSIGN_OR_RETURN(const auto tokenizer, tokenizer::Tokenizer::FromJson(tokenizer_json));
  if (tokenizer->vocab_size() > vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat("the tokenizer has ", tokenizer->vocab_size(),
                                                   " ids; the vocabulary of the model has ",
                                                   vocab_size, " rows"));
  }
  SpecialTokenIds ids;
  for (const auto& [text, id] :
       {std::pair<const char*, int32_t*>{"<|endoftext|>", &ids.end_of_text},
        {"<|im_end|>", &ids.end_of_turn}}) {
    const std::optional<int32_t> found = tokenizer->TokenId(text);
    if (!found.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("the tokenizer has no token ", text));
    }
    *id = *found;
  }
  return ids;
}

// Whether make-model or a download would have written a file of this name.
bool BelongsToModel(const std::string& name) {
  for (const char* known : {"config.json", "generation_config.json"}) {
    if (name == known) return true;
  }
  const bool tokenizer = std::find(std::begin(kTokenizerFiles), std::end(kTokenizerFiles), name) !=
                         std::end(kTokenizerFiles);
  return tokenizer || name.ends_with(".safetensors") || name == "model.safetensors.index.json";
}

// Makes an empty directory of `dir`, or one without a model in it.
absl::Status PrepareDirectory(const fs::path& dir, bool force) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return FileError(error, absl::StrCat("cannot make the directory ", dir.string()));
  std::vector<fs::path> old_files;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    old_files.push_back(it->path());
  }
  if (error) return FileError(error, absl::StrCat("cannot read the directory ", dir.string()));
  if (!old_files.empty() && !force) {
    return absl::AlreadyExistsError(
        absl::StrCat(dir.string(), " is not empty; --force replaces the model in it"));
  }
  for (const fs::path& path : old_files) {
    if (!BelongsToModel(path.filename().string())) continue;
    fs::remove(path, error);
    if (error) return FileError(error, absl::StrCat("cannot remove ", path.string()));
  }
  return absl::OkStatus();
}

absl::Status CheckSpace(const fs::path& dir, int64_t weight_bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(dir, error);
  const auto needed = static_cast<uintmax_t>(weight_bytes + kOtherFilesBytes);
  if (error || needed <= space.available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "the model takes %.1f GB, %s has %.1f GB left", static_cast<double>(needed) / 1e9,
      dir.string(), static_cast<double>(space.available) / 1e9));
}

// Everything that the numbers of an architecture can get wrong, by the rules of the engine that is
// to load it.
absl::Status CheckConfig(const std::string& config_json, const std::string& generation_json) {
  return engine::ParseModelConfig(config_json, generation_json).status();
}

}  // namespace

absl::StatusOr<MadeModel> MakeModel(const MakeModelOptions& options) {
  const Architecture& architecture = options.architecture;
  VALLM_ASSIGN_OR_RETURN(const TextFiles tokenizer, TokenizerFiles(options));
  VALLM_ASSIGN_OR_RETURN(const SpecialTokenIds ids,
                         FindSpecialTokens(tokenizer[0].second, architecture.vocab_size));
  const std::string config = ConfigJson(architecture, ids);
  const std::string generation = GenerationConfigJson(architecture, ids);
  VALLM_RETURN_IF_ERROR(CheckConfig(config, generation));

  MadeModel made;
  std::vector<TensorSpec> tensors = PlanTensors(architecture);
  for (const TensorSpec& tensor : tensors) {
    made.weight_bytes += tensor.bytes();
    made.parameters += tensor.parameters;
  }
  const std::vector<CheckpointFile> files =
      CutIntoFiles(std::move(tensors), static_cast<int64_t>(options.max_shard_gb * 1e9));
  made.files = static_cast<int64_t>(files.size());

  const fs::path dir(options.out_dir);
  VALLM_RETURN_IF_ERROR(PrepareDirectory(dir, options.force));
  VALLM_RETURN_IF_ERROR(CheckSpace(dir, made.weight_bytes));
  VALLM_RETURN_IF_ERROR(WriteCheckpoint(
      options.out_dir, files,
      {.seed = options.seed, .threads = options.threads, .progress = options.progress}));
  if (files.size() > 1) {
    VALLM_RETURN_IF_ERROR(WriteTextFile(dir / "model.safetensors.index.json", IndexJson(files)));
  }
  for (const auto& [name, text] : tokenizer) VALLM_RETURN_IF_ERROR(WriteTextFile(dir / name, text));
  VALLM_RETURN_IF_ERROR(WriteTextFile(dir / "generation_config.json", generation));
  // Last: without it the directory is no model, should this be interrupted.
  VALLM_RETURN_IF_ERROR(WriteTextFile(dir / "config.json", config));
  return made;
}

}  // namespace vallm::tools
