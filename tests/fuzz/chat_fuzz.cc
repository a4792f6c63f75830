// libFuzzer: any conversation through the chat templates of models in use. The first byte of the
// input picks the template, the second the mode; the rest is a JSON object with "messages", "tools"
// and "kwargs".
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/json_mutator.h"
#include "tests/fuzz/require.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/template/chat_messages.h"
#include "tokenizer_service/template/chat_template.h"

namespace vallm::tokenizer {
namespace {

using nlohmann::ordered_json;

constexpr size_t kHeaderBytes = 2;

constexpr std::array kTemplates = {"qwen3",
                                   "qwen3_instruct_2507",
                                   "qwen3_thinking_2507",
                                   "qwen3_coder",
                                   "qwen3_coder_v2",
                                   "qwen3_nonthinking",
                                   "qwen3_5",
                                   "qwen2_5",
                                   "qwq",
                                   "deepseek_r1_distill_qwen",
                                   "deepseek_v3_1",
                                   "glm_4_6",
                                   "gpt_oss",
                                   "granite_3_3",
                                   "hermes2pro_tool_use",
                                   "kimi_k2",
                                   "mistral_nemo",
                                   "phi3_5",
                                   "seed_oss",
                                   "smollm3"};
// These print a user's text between fixed marks, whatever it is.
constexpr size_t kPlainTemplates = 6;

constexpr std::string_view kWords[] = {
    R"("messages")",
    R"("tools")",
    R"("kwargs")",
    R"("role")",
    R"("content")",
    R"("system")",
    R"("user")",
    R"("assistant")",
    R"("tool")",
    R"("developer")",
    R"("reasoning_content")",
    R"("reasoning")",
    R"("tool_calls")",
    R"("function")",
    R"("name")",
    R"("arguments")",
    R"("parameters")",
    R"("type")",
    R"("text")",
    R"("tool_call_id")",
    R"("enable_thinking")",
    R"("description")",
    R"("properties")",
    R"("<think>\na\n</think>\n\nb")",
    R"("</think>")",
    R"("<|im_end|>")",
    R"("<tool_response>a</tool_response>")",
    R"("{\"a\": 1}")",
    R"("{\"a\":")",
    R"({"role": "user", "content": "hi"})",
    R"({"role": "assistant", "content": "a"})",
    R"({"role": "tool", "content": "{}", "tool_call_id": "1"})",
    R"({"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": {"a": 1.0, "b": [null, true]}}}]})",
    R"([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])",
    R"({"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "properties": {"a": {"type": ["string", "null"], "enum": [1, "x"]}}, "required": ["a"]}}})"};

Limits TightLimits() {
  Limits limits;
  limits.max_steps = 1'000'000;
  limits.max_output_bytes = 4 << 20;
  limits.max_string_bytes = 4 << 20;
  return limits;
}

const ChatTemplate& TemplateAt(size_t index) {
  static std::array<std::unique_ptr<const ChatTemplate>, kTemplates.size()> templates;
  auto& slot = templates[index];
  if (slot != nullptr) return *slot;
  std::ifstream file(std::string(VALLM_SOURCE_DIR "/tests/data/conformance/templates/") +
                     kTemplates[index] + ".jinja");
  std::ostringstream text;
  text << file.rdbuf();
  Require(!text.str().empty(), "the template can be read");
  auto parsed = ChatTemplate::Parse(text.str(), TightLimits());
  Require(parsed.ok(), "the template parses");
  slot = *std::move(parsed);
  return *slot;
}

std::string Member(const ordered_json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? "" : it->dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void CheckNormalize(const std::string& messages) {
  const auto normal = NormalizeMessages(messages);
  if (!normal.ok()) {
    Require(normal.status().message().find("messages") != std::string_view::npos,
            "an error names the field");
    return;
  }
  const auto again = NormalizeMessages(*normal);
  Require(again.ok() && *again == *normal, "normal messages stay as they are");
}

// Every user message with plain text stands in the prompt, to the letter.
void CheckUserTexts(const std::string& messages, std::string_view prompt) {
  const auto list = ordered_json::parse(messages);
  for (const ordered_json& message : list) {
    const auto content = message.find("content");
    if (message["role"] != "user" || content == message.end() || !content->is_string()) continue;
    const std::string wanted = "<|im_start|>user\n" + content->get<std::string>() + "<|im_end|>\n";
    Require(prompt.find(wanted) != std::string_view::npos, "a user's text is in the prompt");
  }
}

void Check(uint8_t pick, uint8_t mode, std::string_view json) {
  const auto request = ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) return;
  ChatTemplate::RenderInput input;
  input.messages_json = Member(request, "messages");
  input.tools_json = Member(request, "tools");
  input.kwargs_json = Member(request, "kwargs");
  input.add_generation_prompt = (mode & 3) == 1;
  input.continue_final_message = (mode & 3) == 2;
  input.raw_messages = (mode & 12) == 12;
  input.special_tokens = {{"eos_token", "<|im_end|>"}, {"bos_token", "<s>"}};
  CheckNormalize(input.messages_json);
  const size_t index = pick % kTemplates.size();
  const auto prompt = TemplateAt(index).Render(input);
  if (!prompt.ok()) {
    Require(prompt.status().code() == absl::StatusCode::kInvalidArgument, "the input is at fault");
    Require(!prompt.status().message().empty(), "an error says what is wrong");
    return;
  }
  Require(!FirstInvalidUtf8(*prompt), "the prompt is UTF-8");
  const auto again = TemplateAt(index).Render(input);
  Require(again.ok() && *again == *prompt, "the same each time");
  const bool whole = !input.continue_final_message && input.kwargs_json.empty();
  if (whole && index < kPlainTemplates && !input.raw_messages) {
    CheckUserTexts(input.messages_json, *prompt);
  }
}

}  // namespace
}  // namespace vallm::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vallm::tokenizer::kHeaderBytes;
  if (size < kHeaderBytes) return 0;
  vallm::tokenizer::Check(
      data[0], data[1], {reinterpret_cast<const char*>(data) + kHeaderBytes, size - kHeaderBytes});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using vallm::tokenizer::kHeaderBytes;
  std::minstd_rand random(seed);
  std::string input(reinterpret_cast<const char*>(data), size);
  input.resize(std::max(input.size(), kHeaderBytes));
  if (random() % 4 == 0) input[random() % kHeaderBytes] = static_cast<char>(random());
  const std::string_view json = std::string_view(input).substr(kHeaderBytes);
  std::string changed = random() % 8 == 0
                            ? vallm::MutateBytes(json, json.size() + 64)
                            : vallm::MutateJson(json, vallm::tokenizer::kWords, random());
  if (changed.size() + kHeaderBytes > max_size) changed.resize(max_size - kHeaderBytes);
  input.replace(kHeaderBytes, std::string::npos, changed);
  std::copy(input.begin(), input.end(), data);
  return input.size();
}
