#include "gateway/openai/background_tasks.h"

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

std::string Messages(const std::string& user) {
  return Json{{{"role", "user"}, {"content", user}}}.dump();
}

// In the shape of a task's prompt, with words of our own.
std::string Task(const std::string& what, const std::string& chat = "USER: hi") {
  return "### Task:\n" + what + "\n### Chat History:\n<chat_history>\n" + chat +
         "\n</chat_history>";
}

TEST(BackgroundTasksTest, KnowsTheTasksByWhatTheyWant) {
  const BackgroundTasks tasks(true, {});
  EXPECT_EQ(tasks.Recognise(Messages(Task("Name it. JSON format: { \"title\": \"...\" }"))),
            "title");
  EXPECT_EQ(tasks.Recognise(Messages(Task("JSON format: { \"tags\": [\"a\"] }"))), "tags");
  EXPECT_EQ(tasks.Recognise(Messages(Task("{ \"follow_ups\": [\"a\"] }"))), "follow_ups");
  EXPECT_EQ(tasks.Recognise(Messages(Task("{\n  \"queries\": [\"a\"]\n}"))), "queries");
  EXPECT_EQ(tasks.Recognise(Messages(Task("You are an autocompletion system."))), "autocomplete");
  EXPECT_EQ(tasks.Recognise(Messages(Task("Describe it for an image generation task"))),
            "image_prompt");
  EXPECT_EQ(tasks.Recognise(Messages(
                "Your task is to reflect the speaker's likely facial expression, with this: hi")),
            "emoji");
}

TEST(BackgroundTasksTest, ChatsAreNone) {
  const BackgroundTasks tasks(true, {});
  EXPECT_EQ(tasks.Recognise(Messages("hi")), "");
  EXPECT_EQ(tasks.Recognise(Messages("### Task: write { \"title\": 1 }")), "");  // no chat quoted
  // What the user says inside of the quotation does not count.
  EXPECT_EQ(tasks.Recognise(Messages(Task("Answer the question", "USER: { \"title\": 1 }"))), "");
  EXPECT_EQ(tasks.Recognise(Messages("Look: " + Task("{ \"title\": 1 }"))), "");
  // Nor is it one when it is a part of a conversation.
  Json conversation = Json::parse(Messages(Task("{ \"title\": 1 }")));
  conversation.push_back({{"role", "assistant"}, {"content", "fine"}});
  conversation.push_back({{"role", "user"}, {"content", "and?"}});
  EXPECT_EQ(tasks.Recognise(conversation.dump()), "");
  for (const char* text : {"", "[]", "{}", "[1]", "[{\"role\":\"user\"}]", "### Task:", "["}) {
    EXPECT_EQ(tasks.Recognise(text), "") << text;
  }
}

TEST(BackgroundTasksTest, ASystemMessageMayPrecede) {
  Json conversation = {{{"role", "system"}, {"content", "You are terse."}},
                       {{"role", "user"}, {"content", Task("{ \"tags\": [] }")}}};
  EXPECT_EQ(BackgroundTasks(true, {}).Recognise(conversation.dump()), "tags");
}

TEST(BackgroundTasksTest, TakesFurtherMarkers) {
  const BackgroundTasks tasks(true, {"Summarise \"this\"\n", "生成标题"});
  EXPECT_EQ(tasks.Recognise(Messages("Please: Summarise \"this\"\nhello")), "custom");
  EXPECT_EQ(tasks.Recognise(Messages("请生成标题。")), "custom");
  EXPECT_EQ(tasks.Recognise(Messages("Summarise this")), "");
  EXPECT_EQ(tasks.Recognise(Messages(Task("{ \"tags\": [] } Summarise \"this\"\n"))), "tags");
}

TEST(BackgroundTasksTest, CanBeSwitchedOff) {
  EXPECT_EQ(BackgroundTasks(false, {"hi"}).Recognise(Messages(Task("{ \"tags\": [] } hi"))), "");
}

TEST(BackgroundTasksTest, NamesAreAllThatIsReturned) {
  EXPECT_THAT(BackgroundTasks::Names(),
              ::testing::UnorderedElementsAre("title", "tags", "follow_ups", "queries",
                                              "autocomplete", "image_prompt", "emoji", "custom"));
}

}  // namespace
}  // namespace vallm::gateway
