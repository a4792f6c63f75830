// One HTML page about a run, with nothing outside it: scores with their intervals, subsets, and the
// questions with what was asked, thought, answered and judged.
#ifndef VALLM_TOOLS_EVAL_REPORT_HTML_REPORT_H_
#define VALLM_TOOLS_EVAL_REPORT_HTML_REPORT_H_

#include <string>

#include "tools/eval/report/results.h"
#include "tools/eval/run/runner.h"

namespace vallm::eval {

// At most `max_questions` of each data set are shown, wrong ones first.
std::string HtmlReport(const Results& results, const RunOutcome& outcome,
                       size_t max_questions = 200);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_REPORT_HTML_REPORT_H_
