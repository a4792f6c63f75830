#include "tools/eval/report/html_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/strings.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr size_t kShownBytes = 6000;  // of a prompt, a thought or an answer

constexpr char kStyle[] = R"(
:root { --ink: #1c1e21; --soft: #667; --line: #d5d9e0; --fill: #3b6fb6; --band: #9cbce6; --ground: #fff;
  --good: #2e7d4f; --bad: #b3392f; --pale: #f4f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3b0; --line: #3a4048; --fill: #7aa7e0;
  --band: #3f5f8a; --ground: #16191d; --good: #6cc08b; --bad: #e58074; --pale: #1f242a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: middle; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.bar { position: relative; height: .9rem; background: var(--pale); min-width: 12rem; border-radius: 2px; }
.bar i { position: absolute; top: 0; bottom: 0; left: 0; background: var(--fill); border-radius: 2px; }
.bar b { position: absolute; top: 35%; bottom: 35%; background: var(--ink); opacity: .55; }
details { border-bottom: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--pale); padding: .6rem; border-radius: 4px;
  font: 13px/1.45 ui-monospace, monospace; margin: .3rem 0 .8rem; }
)";

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped.push_back(c);
    }
  }
  return escaped;
}

// The beginning and the end of a long text, cut between characters.
std::string Shown(std::string_view text) {
  if (text.size() <= kShownBytes) return Escaped(text);
  const auto boundary = [text](size_t at) {
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    return at;
  };
  const size_t head = boundary(kShownBytes / 2);
  const size_t tail = boundary(text.size() - kShownBytes / 2);
  return absl::StrCat(Escaped(text.substr(0, head)), "\n... ", tail - head, " bytes left out ...\n",
                      Escaped(text.substr(tail)));
}

std::string Percent(double share) { return absl::StrFormat("%.2f%%", 100 * share); }

// A bar up to the score, and a line over its interval.
std::string Bar(double score, const Interval& interval) {
  return absl::StrCat("<div class=bar><i style=\"width:", Percent(score),
                      "\"></i><b style=\"left:", Percent(interval.low),
                      ";width:", Percent(interval.high - interval.low), "\"></b></div>");
}

std::string Block(const char* title, std::string_view text) {
  if (Strip(text).empty()) return "";
  return absl::StrCat("<div class=soft>", title, "</div><pre>", Shown(text), "</pre>");
}

std::string Prompt(const Record& record) {
  std::string text;
  if (record.messages == nullptr || !record.messages->is_array()) return text;
  for (const ordered_json& message : *record.messages) {
    absl::StrAppend(&text, text.empty() ? "" : "\n\n", "[", TextMember(message, "role"), "] ",
                    TextMember(message, "content"));
  }
  return text;
}

std::string Question(const Record& record) {
  const bool right = record.error.empty() && record.score() == 1;
  std::string head = absl::StrCat("<details><summary><span class=", right ? "good" : "bad", ">",
                                  right ? "right" : absl::StrFormat("%.2f", record.score()),
                                  "</span> ", Escaped(record.subset), " / ", Escaped(record.id));
  if (record.repeat > 0) absl::StrAppend(&head, " (repetition ", record.repeat + 1, ")");
  if (!record.error.empty()) {
    return absl::StrCat(head, " <span class=bad>no answer</span></summary>",
                        Block("error", record.error), Block("asked", Prompt(record)), "</details>");
  }
  if (!record.target.empty()) {
    const std::string& taken = record.verdict.extracted;
    absl::StrAppend(&head, " <span class=soft>took ",
                    taken.empty() ? "nothing" : Escaped(Beginning(taken, 80)), "; right is ",
                    Escaped(Beginning(record.target, 80)), "</span>");
  }
  const std::string calls =
      record.reply.output.tool_calls == nullptr ? "" : record.reply.output.tool_calls->dump(1);
  return absl::StrCat(head, "</summary>", Block("asked", Prompt(record)),
                      Block("thought", record.reply.output.reasoning),
                      Block("answered", record.reply.output.content), Block("called", calls),
                      Block("note", record.verdict.note), "</details>");
}

std::string SummaryRows(const Results& results) {
  std::string rows;
  for (const DatasetResult& dataset : results.datasets) {
    absl::StrAppend(&rows, "<tr><td>", Escaped(results.model), "<td>", Escaped(dataset.name),
                    "<td class=n>", dataset.subsets.size(), "<td class=n>", dataset.num,
                    "<td class=n>", absl::StrFormat("%.4f", dataset.score()), "<td class=n>",
                    absl::StrFormat("%.3f to %.3f", dataset.interval.low, dataset.interval.high),
                    "<td>", Bar(dataset.score(), dataset.interval), "</tr>\n");
  }
  return rows;
}

std::string DatasetSection(const DatasetResult& result, const DatasetRun& run,
                           size_t max_questions) {
  std::string text =
      absl::StrCat("<h2>", Escaped(result.pretty_name), "</h2><p class=soft>", result.num,
                   " answers, ", result.failed, " without one, ", result.truncated,
                   " cut off by max_tokens; ", result.completion_tokens, " tokens written, ",
                   absl::StrFormat("%.1f", result.mean_latency_s), " s per answer on average.");
  if (result.tolerated > 0) {
    absl::StrAppend(&text, " ", result.tolerated,
                    " are right only because units or words around the answer were left out.");
  }
  absl::StrAppend(&text, "</p><table><tr><th>Subset<th>Metric<th class=n>Num<th class=n>Score<th>",
                  "</tr>\n");
  for (const SubsetResult& subset : result.subsets) {
    for (const MetricResult& metric : subset.metrics) {
      absl::StrAppend(&text, "<tr><td>", Escaped(subset.name), "<td>", Escaped(metric.name),
                      "<td class=n>", metric.num, "<td class=n>",
                      absl::StrFormat("%.4f", metric.score), "<td>",
                      Bar(metric.score, WilsonInterval(metric.score, metric.num)), "</tr>\n");
    }
  }
  std::vector<const Record*> records;
  for (const Record& record : run.records) records.push_back(&record);
  std::stable_sort(records.begin(), records.end(),
                   [](const Record* a, const Record* b) { return a->score() < b->score(); });
  absl::StrAppend(&text, "</table><p class=soft>Questions, wrong ones first");
  if (records.size() > max_questions) {
    absl::StrAppend(&text, " (", max_questions, " of ", records.size(), "; all are in records/",
                    Escaped(result.name), ".jsonl)");
    records.resize(max_questions);
  }
  text += "</p>\n";
  for (const Record* record : records) absl::StrAppend(&text, Question(*record), "\n");
  return text;
}

}  // namespace

std::string HtmlReport(const Results& results, const RunOutcome& outcome, size_t max_questions) {
  std::string page = absl::StrCat(
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
      "content=\"width=device-width\"><title>Evaluation of ",
      Escaped(results.model), "</title><style>", kStyle, "</style>\n<h1>Evaluation of ",
      Escaped(results.model), "</h1><p class=soft>", Escaped(results.api_url), ", ",
      absl::FormatTime("%Y-%m-%d %H:%M UTC", results.finished, absl::UTCTimeZone()),
      "</p>\n<table><tr><th>Model<th>Dataset<th class=n>Subset_Num<th class=n>Sample_Num<th "
      "class=n>Score<th class=n>95 % interval<th></tr>\n",
      SummaryRows(results),
      "</table>\n<p class=soft>The line over a bar is the 95 % interval of the score: another draw "
      "of "
      "as many questions would give a score within it.</p>\n");
  for (size_t i = 0; i < results.datasets.size() && i < outcome.datasets.size(); ++i) {
    page += DatasetSection(results.datasets[i], outcome.datasets[i], max_questions);
  }
  absl::StrAppend(&page, "<h2>Configuration</h2><pre>", Escaped(results.config), "</pre></html>\n");
  return page;
}

}  // namespace vallm::eval
