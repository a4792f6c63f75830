#include "tools/jsonl/ordered_rows.h"

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace vallm::tools {
namespace {

struct Row {
  std::string line;
  int64_t number = 0;  // from 1
};

// Hands out the lines. Readers wait for each other.
class RowReader {
 public:
  // Reading from a tied stream would flush the other one, beside the writer's lock.
  RowReader(std::istream& in, int batch) : in_(in), batch_(static_cast<size_t>(batch)) {
    in_.tie(nullptr);
  }

  // The next lines, and what number of batch they are, from 0. False at the end.
  bool Next(std::vector<Row>* rows, int64_t* index) {
    MutexLock lock(mutex_);
    rows->clear();
    // What is not in the stream's buffer may be long in coming.
    while (rows->size() < batch_ && (rows->empty() || in_.rdbuf()->in_avail() > 0)) {
      Row row;
      if (!std::getline(in_, row.line, '\n')) break;
      row.number = ++line_number_;
      if (row.line.find_first_not_of(" \t\r") != std::string::npos) rows->push_back(std::move(row));
    }
    *index = next_index_;
    if (!rows->empty()) ++next_index_;
    return !rows->empty();
  }

 private:
  Mutex mutex_;
  std::istream& in_ ABSL_GUARDED_BY(mutex_);
  const size_t batch_;
  int64_t line_number_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_index_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Puts the answers back in order.
class RowWriter {
 public:
  RowWriter(std::ostream& out, const std::function<void(int64_t)>& progress)
      : out_(out), progress_(progress) {}

  // Takes the answers of a batch of so many rows. False when nobody reads any more.
  bool Write(int64_t index, size_t row_count, std::string answers) {
    MutexLock lock(mutex_);
    waiting_.emplace(index, std::move(answers));
    while (!waiting_.empty() && waiting_.begin()->first == next_index_) {
      out_ << waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      ++next_index_;
    }
    out_.flush();
    ended_ += static_cast<int64_t>(row_count);
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
  RowReader reader(in, options.batch);
  RowWriter writer(out, options.progress);
  const auto work = [&] {
    std::vector<Row> rows;
    int64_t index = 0;
    while (reader.Next(&rows, &index)) {
      std::string answers;
      for (const Row& row : rows) {
        answers += handle(row.line, row.number);
        answers += '\n';
      }
      if (!writer.Write(index, rows.size(), std::move(answers))) return;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.concurrency; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace vallm::tools
