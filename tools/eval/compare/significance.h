// Whether a difference of scores can be told from chance. Pure; the random numbers of resampling
// start from a fixed seed, so that results repeat.
#ifndef VALLM_TOOLS_EVAL_COMPARE_SIGNIFICANCE_H_
#define VALLM_TOOLS_EVAL_COMPARE_SIGNIFICANCE_H_

#include <cstdint>
#include <vector>

namespace vallm::eval {

struct Interval {
  double low = 0;
  double high = 0;
};

// Wilson's 95 % interval of a share of `n` questions; [0, 1] for none.
Interval WilsonInterval(double share, int64_t n);

// McNemar's exact test: of the questions that one run got right and the other did not, `only_a` and
// `only_b`, the two-sided probability of a split at least as uneven if both runs are equally good.
double McNemarExact(int64_t only_a, int64_t only_b);

// The 95 % interval of the mean of `differences` (one per question), by bootstrap over questions.
Interval BootstrapMean(const std::vector<double>& differences);

// The two-sided probability of a mean of `differences` at least as large if their signs were
// chance.
double SignFlipTest(const std::vector<double>& differences);

// Two unpaired shares of na and nb questions: the two-sided probability of a difference at least as
// large (Fisher's exact test on the rounded counts).
double FisherExact(double share_a, int64_t na, double share_b, int64_t nb);

// Holm's correction: the p-values of a family of tests, adjusted, in their order.
std::vector<double> HolmAdjusted(const std::vector<double>& p_values);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_COMPARE_SIGNIFICANCE_H_
