#include "engine/runtime/bench.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "engine/document/extended_json.h"
#include "engine/runtime/pipeline.h"

namespace millrace::engine {
namespace {

// The three canonical jobs.
constexpr std::string_view kGroup =
    R"([{"$group":{"_id":"$device_id","count":{"$sum":1},"sum_watts":{"$sum":"$obs.watts"},"avg_temp":{"$avg":"$obs.temp"},)"
    R"("min_watts":{"$min":"$obs.watts"},"max_watts":{"$max":"$obs.watts"}}}])";
constexpr std::string_view kStateless =
    R"([{"$match":{"event_type":0,"obs.watts":{"$gt":100}}},)"
    R"({"$addFields":{"ts":{"$toDate":"$timestamp"},"load_pct":{"$multiply":[{"$divide":["$obs.watts","$max_watts"]},100]}}},)"
    R"({"$project":{"_id":0,"device_id":1,"group_id":1,"ts":1,"load_pct":1,"watts":"$obs.watts","temp":"$obs.temp"}}])";

Result<std::string> job_pipeline(std::string_view job) {
  if (job == "j1") return std::string(kStateless);
  if (job == "j2")
    return R"([{"$tumblingWindow":{"interval":{"size":1,"unit":"second"},"pipeline":)" +
           std::string(kGroup) + "}}]";
  if (job == "j3") {
    return R"([{"$hoppingWindow":{"interval":{"size":60,"unit":"second"},"hopSize":{"size":1,"unit":"second"},"pipeline":)" +
           std::string(kGroup) + "}}]";
  }
  return Status(ErrorCode::kBadValue, "--job must be j1, j2 or j3");
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Status(ErrorCode::kBadValue, "cannot read " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Reads a file block by block, and hands a block out as source batches of about 128 KiB, as the
// source thread of a processor would what it has received.
class LineReader {
 public:
  explicit LineReader(int file) : file_(file), block_(kBlock) {}

  // What it holds of the file, whatever the pipeline needs beside it.
  size_t held_bytes() const { return block_.size(); }

  // The next block. False at the end of the file.
  bool load() {
    size_t rest = until_ - at_;
    if (rest * 2 > block_.size()) block_.resize(block_.size() * 2);  // a very long line
    std::memmove(block_.data(), block_.data() + at_, rest);
    at_ = 0;
    until_ = rest;
    while (until_ < block_.size()) {
      ssize_t got = ::read(file_, block_.data() + until_, block_.size() - until_);
      if (got <= 0) break;
      until_ += static_cast<size_t>(got);
    }
    if (until_ > rest) return true;
    ended_ = true;  // what is left is a last line without its newline
    return rest > 0;
  }

  // False when the block holds no whole line any more.
  bool read(SourceBatch& batch, int64_t max_lines) {
    batch.clear();
    size_t size = std::min(until_ - at_, kBatch);
    const char* from = block_.data() + at_;
    auto* end = static_cast<const char*>(memrchr(from, '\n', size));
    if (end == nullptr)
      end = static_cast<const char*>(std::memchr(from + size, '\n', until_ - at_ - size));
    if (end == nullptr && !ended_) return false;
    size = end == nullptr ? until_ - at_ : static_cast<size_t>(end - from) + 1;
    if (size == 0) return false;
    char* to = batch.bulk_reserve(size);
    std::memcpy(to, from, size);
    size_t done = 0;
    for (int64_t lines = 0; lines < max_lines && done < size;) {
      auto* newline = static_cast<const char*>(std::memchr(to + done, '\n', size - done));
      size_t line = newline == nullptr ? size - done : static_cast<size_t>(newline - to) - done;
      if (line > 0) batch.add_line(done, line), ++lines;
      done = std::min(done + line + 1, size);
    }
    batch.bulk_commit(done);
    at_ += done;
    return true;
  }

 private:
  static constexpr size_t kBlock = 64 << 20;
  static constexpr size_t kBatch = 128 << 10;
  int file_;
  std::vector<char> block_;
  size_t at_ = 0;
  size_t until_ = 0;
  bool ended_ = false;
};

// Time taken between start() and stop(), over all such pairs.
class Stopwatch {
 public:
  explicit Stopwatch(clockid_t clock) : clock_(clock) {}
  void start() { seconds_ -= now(); }
  void stop() { seconds_ += now(); }
  double seconds() const { return seconds_; }

 private:
  double now() const {
    timespec t;
    clock_gettime(clock_, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }
  clockid_t clock_;
  double seconds_ = 0;
};

// The figures of bench/README.md, summed up from the encoded documents.
class Check {
 public:
  void add(const OutputBatch& output) {
    rows_ += static_cast<int64_t>(output.items.size());
    for (const OutputBatch::Item& item : output.items) add(output.document(item));
  }
  std::string json() const {
    return fmt::format(R"({{"rows":{},"count":{},"sum":{},"min":{},"max":{},"avg":{:.2f}}})", rows_,
                       count_, sum_, min_, max_, avg_);
  }

 private:
  // What a field counts for.
  enum class Role : uint8_t { kNone, kCount, kSum, kMin, kMax, kAverage };
  // A column of the documents seen last.
  struct Known {
    Type type;
    Role role;
    uint32_t key_size;  // of type, name and the name's end
    char key[56];
  };

  // Walks the bytes: a figure for each document is too often for values. Documents have mostly the
  // columns of the one before.
  void add(std::string_view document) {
    const char* at = document.data() + 4;
    const char* end = document.data() + document.size();
    for (size_t column = 0; *at != 0; ++column) {
      if (column == columns_.size()) columns_.push_back({});
      Known& known = columns_[column];
      if (known.key_size == 0 || known.key_size > static_cast<size_t>(end - at) ||
          known.key_size > sizeof known.key || !same_bytes(known.key, at, known.key_size))
        learn(known, at);
      at += known.key_size;
      if (known.type == Type::kInt32) {
        count(known.role, load<int32_t>(at));
        at += sizeof(int32_t);
      } else if (known.type == Type::kDouble) {
        count(known.role, load<double>(at));
        at += sizeof(double);
      } else if (known.type == Type::kString) {
        at += sizeof(int32_t) + load<int32_t>(at);
      } else {
        const char* next;
        Value value = read_bson_value(known.type, at, &next);
        at = next;
        if (value.is_integer()) count(known.role, value.integer_value());
        if (value.is(Type::kDecimal)) count(known.role, value.to_double());
      }
    }
  }
  static void learn(Known& known, const char* at) {
    std::string_view name(at + 1);
    known.type = static_cast<Type>(static_cast<uint8_t>(*at));
    known.role = role(name);
    known.key_size = static_cast<uint32_t>(name.size() + 2);
    std::memcpy(known.key, at, std::min<size_t>(known.key_size, sizeof known.key));
  }
  static Role role(std::string_view name) {
    if (name == "count") return Role::kCount;
    if (name == "watts" || name == "sum_watts") return Role::kSum;
    if (name == "min_watts") return Role::kMin;
    if (name == "max_watts") return Role::kMax;
    return name == "avg_temp" || name == "load_pct" ? Role::kAverage : Role::kNone;
  }
  template <typename Number>
  static Number load(const char* at) {
    Number number;
    std::memcpy(&number, at, sizeof number);
    return number;
  }
  template <typename Number>
  void count(Role role, Number number) {
    auto whole = static_cast<int64_t>(number);
    switch (role) {
      case Role::kCount:
        count_ += whole;
        return;
      case Role::kSum:
        sum_ += whole;
        return;
      case Role::kMin:
        min_ += whole;
        return;
      case Role::kMax:
        max_ += whole;
        return;
      case Role::kAverage:
        avg_ += static_cast<double>(number);
        return;
      case Role::kNone:
        return;
    }
  }

  std::vector<Known> columns_;
  int64_t rows_ = 0, count_ = 0, sum_ = 0, min_ = 0, max_ = 0;
  double avg_ = 0;
};

}  // namespace

Result<std::string> run_bench(const BenchOptions& options) {
  std::string text;
  if (!options.job.empty()) {
    MR_ASSIGN_OR_RETURN(text, job_pipeline(options.job));
  } else {
    MR_ASSIGN_OR_RETURN(text, read_file(options.pipeline_file));
  }
  MR_ASSIGN_OR_RETURN(auto stages, parse_extended_json_array(text));
  BsonWriter pipeline_document;
  pipeline_document.begin_document();
  pipeline_document.begin_array("pipeline");
  for (size_t i = 0; i < stages.size(); ++i) pipeline_document.append_element(i, stages[i].value());
  pipeline_document.end();
  pipeline_document.end();

  SystemClock clock;
  PipelineSpec spec;
  spec.pipeline = Document(pipeline_document.bytes());
  spec.source_and_sink = false;
  MR_ASSIGN_OR_RETURN(spec.time_field, parse_extended_json(R"({"$toDate":"$timestamp"})"));
  PipelineEnvironment environment;
  environment.clock = &clock;
  MR_ASSIGN_OR_RETURN(auto pipeline, Pipeline::build(spec, environment));

  int file = ::open(options.input_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return Status(ErrorCode::kBadValue,
                  "cannot read " + options.input_file + ": " + std::strerror(errno));
  LineReader reader(file);
  SourceBatch batch;
  OutputBatch output;
  Check check;
  pipeline->set_output_relay([&](OutputBatch& full) -> OutputBatch& {
    check.add(full);
    full.clear();
    return full;
  });
  Stopwatch wall(CLOCK_MONOTONIC);
  Stopwatch cpu(CLOCK_PROCESS_CPUTIME_ID);
  int64_t events = 0;
  auto more = [&] { return options.events == 0 || events < options.events; };
  while (more() && reader.load()) {
    wall.start();
    cpu.start();
    while (more()) {
      int64_t most = options.events == 0 ? INT64_MAX : options.events - events;
      if (!reader.read(batch, most)) break;
      events += static_cast<int64_t>(batch.records.size());
      pipeline->process(batch, output);
      check.add(output);
      output.clear();
    }
    cpu.stop();
    wall.stop();
  }
  wall.start();
  cpu.start();
  pipeline->finish(output);
  check.add(output);
  cpu.stop();
  wall.stop();
  ::close(file);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return fmt::format(
      R"({{"impl":"millrace","job":"{}","events":{},"wall_s":{:.4f},"cpu_s":{:.4f},"ev_per_s":{:.0f},"ev_per_cpu_s":{:.0f},"rss_mb":{},"dlq":{},"check":{}}})",
      options.job.empty() ? "pipeline" : options.job, events, wall.seconds(), cpu.seconds(),
      static_cast<double>(events) / wall.seconds(), static_cast<double>(events) / cpu.seconds(),
      usage.ru_maxrss / 1024 - static_cast<int64_t>(reader.held_bytes() >> 20),
      pipeline->stats().dlq_count, check.json());
}

}  // namespace millrace::engine
