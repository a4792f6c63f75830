// Messages as a service normalises them, rendering options, and templates of model directories.
#include "tokenizer_service/template/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/chat_messages.h"
#include "tokenizer_service/template/model_template.h"

namespace vallm::tokenizer {
namespace {

namespace fs = std::filesystem;
using vallm::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(NormalizeMessagesTest, BringsContentIntoOneForm) {
  const std::pair<const char*, const char*> rows[] = {
      {R"([{"role": "user", "content": null}])", R"([{"role": "user", "content": ""}])"},
      {R"([{"role": "user"}])", R"([{"role": "user", "content": ""}])"},
      {R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])",
       R"([{"role": "user", "content": "a\nb"}])"},
      {R"([{"role": "assistant", "content": "x", "reasoning": "r"}])",
       R"([{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "r"}])"},
      {R"([{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "q"}])",
       R"([{"role": "assistant", "content": "x", "reasoning": "r", "reasoning_content": "q"}])"},
      {R"([{"role": "assistant", "content": "x", "tool_calls": []}])",
       R"([{"role": "assistant", "content": "x"}])"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{bad"}}]}])",
       R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{bad"}}], "content": ""}])"},
      {R"([{"role": "tool", "content": "1", "n": 1.0, "big": 100000000000000000000}])",
       R"([{"role": "tool", "content": "1", "n": 1.0, "big": 100000000000000000000}])"},
  };
  for (const auto& [in, out] : rows) EXPECT_EQ(*NormalizeMessages(in), out);
}

TEST(NormalizeMessagesTest, RefusesByFieldName) {
  const std::pair<const char*, const char*> rows[] = {
      {"{}", "messages: must be an array"},
      {"[1]", "messages[0]: must be an object"},
      {R"([{"content": "x"}])", "messages[0].role: must be a non-empty string"},
      {R"([{"role": "user", "content": "x"}, {"role": "user", "content": 1}])",
       "messages[1].content: must be a string, an array of parts or null, not a number"},
      {R"([{"role": "user", "content": [{"type": "image_url"}]}])",
       "messages[0].content[0].type: content of type 'image_url' is not supported"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])",
       "messages[0].tool_calls[0].function.name: must be a string"},
      {R"([{"role": "assistant", "reasoning": 1}])", "messages[0].reasoning: must be a string"},
      {R"([{"role": "user", "content": "\ud800"}])", "messages: lone surrogate"},
  };
  for (const auto& [in, message] : rows) {
    EXPECT_THAT(NormalizeMessages(in), StatusIs(kInvalid, message)) << in;
  }
}

class RenderTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Render(const std::string& source) {
    auto chat = ChatTemplate::Parse(source);
    if (!chat.ok()) return chat.status();
    return (*chat)->Render(input_);
  }

  ChatTemplate::RenderInput input_{.messages_json = R"([{"role": "user", "content": "hi "}])"};
};

// Clients send the arguments of past calls as JSON text, as the API says; no template may choke.
class ArgumentsTest : public ::testing::Test {
 protected:
  // The prompt for a past call with this JSON value for arguments.
  static std::string Render(const std::string& source, const std::string& arguments) {
    auto chat = ChatTemplate::Parse(source);
    EXPECT_OK(chat);
    auto text = (*chat)->Render(
        {.messages_json = R"([{"role": "user", "content": "u"}, {"role": "assistant", )"
                          R"("tool_calls": [{"function": {"name": "f", "arguments": )" +
                          arguments + "}}]}]"});
    EXPECT_OK(text);
    return text.value_or("");
  }
  static std::string File(const std::string& name) {
    std::ifstream file(std::string(VALLM_TEST_DATA "/conformance/templates/") + name);
    EXPECT_TRUE(file) << name;
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  const std::string each_ = "{% for m in messages %}{% for c in m.tool_calls or [] %}";
  const std::string end_ = "{% endfor %}{% endfor %}";
};

TEST_F(ArgumentsTest, TextStaysTextWhereTheTemplatePrintsIt) {
  const std::string source =
      each_ + "{% set a = c.function.arguments %}{{ a if a is string else a|tojson }}" + end_;
  EXPECT_EQ(Render(source, R"("{\"a\":1.0}")"), R"({"a":1.0})");
  EXPECT_EQ(Render(source, R"({"a":1.0})"), R"({"a": 1.0})");
  EXPECT_EQ(Render(source, R"("{bad")"), "{bad");
}

TEST_F(ArgumentsTest, TextBecomesAnObjectWhereTheTemplateWouldQuoteIt) {
  const std::string source = each_ + "{{ c.function.arguments|tojson }}" + end_;
  EXPECT_EQ(Render(source, R"("{\"a\":1.0}")"), R"({"a": 1.0})");
  EXPECT_EQ(Render(source, R"("")"), "{}");
  EXPECT_EQ(Render(source, R"("{bad")"), R"("{bad")");
}

TEST_F(ArgumentsTest, TextBecomesAnObjectWhereTheTemplateListsMembers) {
  const std::string source =
      each_ + "{% for k, v in c.function.arguments|items %}{{ k }}={{ v }};{% endfor %}" + end_;
  EXPECT_EQ(Render(source, R"("{\"a\":1.0,\"b\":[2]}")"), "a=1.0;b=[2];");
  EXPECT_EQ(Render(source, R"("")"), "");
  EXPECT_EQ(Render(source, R"("{bad")"), "arguments={bad;");
  EXPECT_EQ(Render(source, R"("[1]")"), "arguments=[1];");
}

TEST_F(ArgumentsTest, QwenTemplatesTakeEveryForm) {
  for (const char* name : {"qwen3.jinja", "qwen3_nonthinking.jinja", "qwen3_instruct_2507.jinja",
                           "qwen3_thinking_2507.jinja", "qwen3_coder.jinja", "qwen3_coder_v2.jinja",
                           "qwen2_5.jinja", "qwq.jinja"}) {
    SCOPED_TRACE(name);
    const std::string source = File(name);
    const std::string object = Render(source, R"({"city": "Bern"})");
    EXPECT_EQ(Render(source, R"("{\"city\": \"Bern\"}")"), object);
    EXPECT_NE(object.find("Bern"), std::string::npos);
    EXPECT_NE(Render(source, R"("{bad text")").find("{bad text"), std::string::npos);
    Render(source, R"("")");
  }
}

TEST_F(RenderTest, KwargsOverrideFlagsAndTokens) {
  const std::string source = "{{ bos_token }}{{ add_generation_prompt }}{{ x }}{{ tools is none }}";
  input_.special_tokens = {{"bos_token", "<s>"}};
  EXPECT_EQ(*Render(source), "<s>TrueTrue");
  input_.kwargs_json = R"({"bos_token": "B", "add_generation_prompt": false, "x": 1.0})";
  EXPECT_EQ(*Render(source), "BFalse1.0True");
  input_.kwargs_json = R"({"messages": []})";
  EXPECT_THAT(Render(source), StatusIs(kInvalid, "'messages' cannot be set here"));
}

TEST_F(RenderTest, ContinuesTheFinalMessage) {
  const std::string keeps = "{% for m in messages %}[{{ m.content }}]{% endfor %}";
  input_.continue_final_message = true;
  EXPECT_THAT(Render(keeps), StatusIs(kInvalid, "cannot both be set"));
  input_.add_generation_prompt = false;
  EXPECT_EQ(*Render(keeps), "[hi ");
  EXPECT_EQ(*Render("{% for m in messages %}[{{ m.content|trim }}]{% endfor %}"), "[hi");
  EXPECT_THAT(Render("nothing"), StatusIs(kInvalid, "does not print the last message"));
}

TEST_F(RenderTest, ClockIsAParameter) {
  input_.now = absl::FromUnixSeconds(86400);
  EXPECT_EQ(*Render("{{ strftime_now('%d %b %Y %H:%M:%S.%f%%') }}"),
            "02 Jan 1970 00:00:00.000000%");
}

class ModelDirTest : public ::testing::Test {
 protected:
  ModelDirTest() : dir_(fs::path(::testing::TempDir()) / "vallm_model_template_test") {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~ModelDirTest() override { fs::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }

  fs::path dir_;
};

TEST_F(ModelDirTest, ReadsTheConfiguredTemplateAndTokens) {
  Write("tokenizer_config.json",
        R"({"chat_template": "T{{ eos_token }}", "eos_token": {"content": "<e>", "lstrip": false},
            "bos_token": null, "pad_token": "<p>"})");
  const auto models = LoadModelTemplates(dir_.string());
  ASSERT_OK(models);
  ChatTemplate::RenderInput input{.messages_json = "[]"};
  input.special_tokens = models->special_tokens;
  EXPECT_EQ(*models->ForRequest(true)->Render(input), "T<e>");
  EXPECT_EQ(models->special_tokens.size(), 2u);
}

TEST_F(ModelDirTest, ChoosesAmongNamedTemplatesAndFiles) {
  Write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]})");
  const ChatTemplate::RenderInput input{.messages_json = "[]"};
  auto models = LoadModelTemplates(dir_.string());
  ASSERT_OK(models);
  EXPECT_EQ(*models->ForRequest(false)->Render(input), "D");
  EXPECT_EQ(*models->ForRequest(true)->Render(input), "U");
  Write("chat_template.jinja", "F");
  Write("other.jinja", "O");
  models = LoadModelTemplates(dir_.string());
  EXPECT_EQ(*models->ForRequest(false)->Render(input), "F");
  models = LoadModelTemplates(dir_.string(), (dir_ / "other.jinja").string());
  EXPECT_EQ(*models->ForRequest(true)->Render(input), "O");
}

TEST_F(ModelDirTest, SaysWhatIsWrong) {
  EXPECT_EQ(LoadModelTemplates(dir_.string())->chat, nullptr);
  EXPECT_THAT(LoadModelTemplates((dir_ / "none").string()),
              StatusIs(absl::StatusCode::kNotFound, "does not exist"));
  EXPECT_THAT(LoadModelTemplates(dir_.string(), "/nonexistent.jinja"),
              StatusIs(absl::StatusCode::kNotFound, "/nonexistent.jinja"));
  Write("chat_template.jinja", "{{");
  EXPECT_THAT(LoadModelTemplates(dir_.string()), StatusIs(kInvalid, "template line 1"));
}

}  // namespace
}  // namespace vallm::tokenizer
