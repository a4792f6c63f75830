#include "tools/generate/ordered_rows.h"

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace vallm::tools {
namespace {

struct Row {
  int64_t index = 0;  // of the rows, from 0
  int64_t line_number = 0;
  std::string line;
};

// Hands out the lines. Readers wait for each other.
class RowReader {
 public:
  // Reading from a tied stream would flush the other one, beside the writer's lock.
  explicit RowReader(std::istream& in) : in_(in) { in_.tie(nullptr); }

  // False at the end.
  bool Next(Row* row) {
    MutexLock lock(mutex_);
    while (std::getline(in_, row->line, '\n')) {
      ++line_number_;
      if (row->line.find_first_not_of(" \t\r") == std::string::npos) continue;
      row->index = next_index_++;
      row->line_number = line_number_;
      return true;
    }
    return false;
  }

 private:
  Mutex mutex_;
  std::istream& in_ ABSL_GUARDED_BY(mutex_);
  int64_t line_number_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_index_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Puts the answers back in order.
class RowWriter {
 public:
  RowWriter(std::ostream& out, const std::function<void(int64_t)>& progress)
      : out_(out), progress_(progress) {}

  // False when nobody reads any more.
  bool Write(int64_t index, std::string answer) {
    MutexLock lock(mutex_);
    waiting_.emplace(index, std::move(answer));
    while (!waiting_.empty() && waiting_.begin()->first == next_index_) {
      out_ << waiting_.begin()->second << '\n';
      waiting_.erase(waiting_.begin());
      ++next_index_;
    }
    out_.flush();
    ++ended_;
    if (progress_) progress_(ended_);
    return static_cast<bool>(out_);
  }

 private:
  Mutex mutex_;
  std::ostream& out_ ABSL_GUARDED_BY(mutex_);
  const std::function<void(int64_t)>& progress_;
  std::map<int64_t, std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t next_index_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

void ForEachRowInOrder(
    std::istream& in, std::ostream& out, const OrderedRowsOptions& options,
    const std::function<std::string(const std::string& line, int64_t line_number)>& handle) {
  RowReader reader(in);
  RowWriter writer(out, options.progress);
  const auto work = [&] {
    Row row;
    while (reader.Next(&row)) {
      if (!writer.Write(row.index, handle(row.line, row.line_number))) return;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.concurrency; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace vallm::tools
