#include "tools/serve/progress_display.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/progress_bar.h"

namespace vallm::tools {
namespace {

constexpr absl::Duration kReminderInterval = absl::Seconds(10);

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::FILE* out, bool terminal, std::vector<std::string> names,
                                 absl::Time start_time)
    : out_(out),
      terminal_(terminal),
      names_(std::move(names)),
      start_time_(start_time),
      was_ready_(names_.size(), false),
      ready_time_(names_.size(), absl::InfinitePast()),
      next_reminder_(start_time + kReminderInterval) {}

void ProgressDisplay::Update(const std::vector<TargetState>& states, absl::Time now) {
  Erase();
  std::vector<std::string> waiting;
  for (size_t i = 0; i < names_.size(); ++i) {
    const bool became_ready = states[i].ready && !was_ready_[i];
    was_ready_[i] = states[i].ready;
    if (became_ready) ready_time_[i] = now;
    const bool knows = states[i].loaded_percent >= 0;
    const std::string percent = knows ? absl::StrFormat(" %d %%", states[i].loaded_percent) : "";
    if (!states[i].ready) waiting.push_back(names_[i] + percent);
    if (!terminal_ && !became_ready) continue;
    const std::string bar = knows ? " " + ProgressBar(states[i].loaded_percent) : "";
    const std::string text = states[i].ready
                                 ? "ready after " + Seconds(ready_time_[i] - start_time_)
                                 : "loading" + bar + ", " + Seconds(now - start_time_);
    absl::FPrintF(out_, "  %-12s %s\n", names_[i], text);
    if (terminal_) ++lines_;
  }
  if (!terminal_ && !waiting.empty() && now >= next_reminder_) {
    absl::FPrintF(out_, "  still loading after %s: %s\n", Seconds(now - start_time_),
                  absl::StrJoin(waiting, ", "));
    next_reminder_ = now + kReminderInterval;
  }
  std::fflush(out_);
}

void ProgressDisplay::Print(const std::string& line) {
  Erase();
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

void ProgressDisplay::Erase() {
  if (lines_ > 0) std::fprintf(out_, "\033[%dA\033[J", lines_);
  lines_ = 0;
}

}  // namespace vallm::tools
