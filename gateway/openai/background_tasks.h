// Requests that no user waits for: what chat front ends ask of a model on their own account after
// each message (a title, tags, follow-up questions, ...). Recognised by what the prompts of those
// tasks have in common, because nothing else in the request tells them from a chat.
//
// Thread-safe: constant.
#ifndef VALLM_GATEWAY_OPENAI_BACKGROUND_TASKS_H_
#define VALLM_GATEWAY_OPENAI_BACKGROUND_TASKS_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::gateway {

class BackgroundTasks {
 public:
  // `recognise`: whether to look at all. `markers`: further texts whose occurrence in a
  // conversation of one user message makes it a task, called "custom"; none empty.
  BackgroundTasks(bool recognise, const std::vector<std::string>& markers);

  // The name of the task, or "" if it is none. `messages_json` is ChatRequest's. Cheap unless it is
  // likely to be one.
  std::string_view Recognise(std::string_view messages_json) const;

  // Everything that Recognise may return.
  static std::vector<std::string_view> Names();

 private:
  const bool recognise_;
  std::vector<std::string> markers_;  // as they look inside of JSON
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_BACKGROUND_TASKS_H_
